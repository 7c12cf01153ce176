"""The worker process: it runs the jobs in `jobs.schedule` until SIGTERM or SIGINT.

The scheduler only triggers the jobs. What is due is in the database, and each row is claimed by one worker at a
time, so workers can be added, stopped or late.
"""

import datetime
import signal
import sys
import threading
from collections.abc import Mapping

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import ProgrammingError

from jobs.clock_watch import CHECK_SECONDS, ClockWatch, resume_after_set_back
from jobs.job_runs import JobRunRecorder
from jobs.restore_check import find_restore_when_up
from jobs.schedule import JOBS, Job
from service.bootstrap import build_container
from service.container import Container
from service.db.clock import DatabaseClock, utc_now
from service.db.prepared_statements import is_name_conflict
from service.db.time_limits import JOB_LIMITS
from service.logs import configure_logging
from service.setting_values import SettingsError
from service.settings import read_settings

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# Seconds after which a thread that computes lets another go on. With Python's default of 0.005, a connection whose
# reply has come waits up to 5 ms while another renders, longer than an email takes.
THREAD_SWITCH_INTERVAL = 0.0005

log = structlog.get_logger()


def main() -> None:
    """Run until SIGTERM or SIGINT, then finish the email that is being sent and exit with 0."""
    try:
        settings = read_settings()
    except SettingsError as error:
        sys.exit(str(error))
    configure_logging(settings)
    sys.setswitchinterval(THREAD_SWITCH_INTERVAL)
    # The signals are blocked in every thread and read with sigtimedwait. A handler would interrupt this thread
    # anywhere, and if it set an event that the thread is about to wait for, it could deadlock.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    stop = threading.Event()
    container = build_container(settings, clock=DatabaseClock(), time_limits=JOB_LIMITS)
    restore = find_restore_when_up(container, _is_told_to_stop)
    if restore is not None:
        sys.exit(str(restore))
    container.database_contact.start()
    scheduler = make_scheduler(container, stop)
    scheduler.start()
    log.info("worker_started", jobs=[job.name for job in JOBS])
    # The scheduler goes by the machine's clock, and what is in the database by the database's.
    watches = [ClockWatch(utc_now), ClockWatch(container.clock)]
    while not _is_told_to_stop():
        behind = max(watch.set_back_by() for watch in watches)
        if behind and resume_after_set_back(container, scheduler, behind):
            for watch in watches:
                watch.restart()
    stop.set()
    scheduler.shutdown(wait=True)
    log.info("worker_stopped")


def _is_told_to_stop() -> bool:
    """Wait up to `CHECK_SECONDS` for a signal to stop.

    Python returns a record of no signal, and not None, if the process itself was suspended for longer than that.
    """
    received = signal.sigtimedwait(STOP_SIGNALS, CHECK_SECONDS)
    return received is not None and received.si_signo in STOP_SIGNALS


def make_scheduler(container: Container, stop: threading.Event) -> BackgroundScheduler:
    """Return a scheduler with every job of the table, each run at once and then at its interval."""
    scheduler = BackgroundScheduler(
        timezone=datetime.UTC,
        executors={"default": ThreadPoolExecutor(len(JOBS))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    recorder = JobRunRecorder(container)
    for job in JOBS:
        scheduler.add_job(
            run_job,
            "interval",
            seconds=job.every_seconds,
            next_run_time=datetime.datetime.now(datetime.UTC),
            id=job.name,
            args=(job, container, recorder, stop),
        )
    return scheduler


def run_job(job: Job, container: Container, recorder: JobRunRecorder, stop: threading.Event) -> None:
    """Run a job and record the run. An error is logged, and the job runs again at its next interval."""
    if stop.is_set():
        return
    run = recorder.start(job.name) if job.record_runs else None
    counts, error = None, None
    try:
        try:
            counts = _run(job, container, stop)
        except ProgrammingError as conflict:
            if not is_name_conflict(conflict):
                raise
            # Statements are not prepared any more. Every job may be run again.
            counts = _run(job, container, stop)
    except Exception as failure:
        log.exception("job_failed", job=job.name)
        error = failure
    if run is not None:
        recorder.finish(run, counts=counts, error=error)


def _run(job: Job, container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    if job.needs_keys and not container.key_check.passes():
        return None
    return job.run(container, stop)


if __name__ == "__main__":
    main()
