"""A site that embeds the support box: another origin, by default with the strictest possible policy."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

STRICT_CSP = (
    "default-src 'none'; script-src {base}; connect-src {base}; style-src 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
# axe-core needs explicit colours to compute contrast.
STYLED = "<style>:root { background: Canvas; color: CanvasText } a { color: inherit }</style>"
PAGE = """<!DOCTYPE html>
<html lang="{lang}" dir="{direction}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>The ferry did not sail</title>
{style}
<script type="module" src="{base}/widget/v1.js"></script>
</head>
<body>
<main>
<h1>The ferry did not sail</h1>
<p>It has stayed in the harbour for seventy-one days this year. <a href="#more">More on the ferry</a></p>
<support-box {attributes}><a href="{base}/support/default">Support our work</a></support-box>
<p id="more">The next one is due at nine. <a href="#top">Back to the top</a></p>
</main>
</body>
</html>
"""


class HostSite:
    """Serves one page; a context manager. `base_url` is its origin, `mainstay` that of the service."""

    def __init__(self, mainstay: str) -> None:
        self.mainstay = mainstay
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/favicon.ico":
                    self.send_error(404)
                    return
                body = site.html.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                if site.policy:
                    self.send_header("Content-Security-Policy", site.policy)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Log nothing; tests use the browser's list of requests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"
        self.show()

    def show(
        self, attributes: str = "", *, lang: str = "en", direction: str = "ltr", is_strict: bool = True
    ) -> str:
        """Set the page's language and policy and the box's attributes; return the page's URL."""
        self.policy = STRICT_CSP.format(base=self.mainstay) if is_strict else ""
        self.html = PAGE.format(
            base=self.mainstay,
            attributes=attributes,
            lang=lang,
            direction=direction,
            style="" if is_strict else STYLED,
        )
        return f"{self.base_url}/article"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
