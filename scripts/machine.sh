# Functions that the install scripts share; they source this file with `.`.
# The headless shell starts sooner, and only the full Chromium has a back/forward cache.
BROWSER_PACKAGES="chromium chromium-headless-shell fonts-dejavu-core"
# Debian's names of the other programs that the tests start.
SERVER_PACKAGES="pgbouncer php-cli"

has_browser() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null && return 0
    done
    [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}

has_firefox() {
    command -v firefox-esr >/dev/null || command -v firefox >/dev/null
}

missing_servers() {
    missing=
    for name in $SERVER_PACKAGES; do
        # Debian keeps servers where only root's PATH leads.
        (PATH="$PATH:${SERVER_FOLDERS-/usr/sbin:/usr/local/sbin}" && command -v "${name%-cli}" >/dev/null) ||
            missing="${missing:+$missing }$name"
    done
    echo "$missing"
}

has_venv() {
    [ -x .venv/bin/pip ] || "$1" -c 'import ensurepip' 2>/dev/null
}

can_use_apt() {
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]
}

install_with_apt() {
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null || {
        fail "apt-get could not install $*: install what is missing yourself and run make again."
    }
}

fail() {
    echo "$1" >&2
    exit 1
}
