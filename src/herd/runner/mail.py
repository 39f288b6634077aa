"""A published report by e-mail, once a run: a link to it, or the report itself.

It comes after publishing, so nobody is mailed what was rejected. That a mail is under way is written down before it is
sent: whoever is killed in between sends none, and no later attempt sends a second one. A mail that is refused does not
take back what is published; it is a warning in the run's record, which the watch tells the owner.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path, PurePosixPath
from typing import Any

from .checks import Result
from .contract.documents import SCHEMA, File, from_json, to_json
from .contract.keys import mail_key, report_page_key, version_prefix
from .contract.statuses import OF_MAIL
from .contract.task import Mail
from .errors import say
from .footer import Footer, footer_of, stamp
from .markup import HTML, XHTML
from .record import Progress
from .storage import Storage, StorageError, content_type
from .task import DeployedTask, format_time

MOST_BYTES = 40 * 1024 * 1024
"""Of a whole message, as it is sent. Source: "Service quotas in Amazon SES", message size of the v2 API."""

_ENCODED = 1.37
"""So many times larger is a file in a message: four characters for three bytes, and line breaks."""


class NotMailed(Exception):
    """Why no mail was sent, in words."""


def send(task: DeployedTask, storage: Storage, progress: Progress, local: Mapping[str, Path] | None) -> None:
    """Mail what this run has published, if it is to be and has not been. `local`: its files on disk, if they are.

    Never raises for a mail that cannot be sent: that is a warning in `progress`.
    """
    if task.mail is None or not progress.files:
        return
    key = mail_key(task.workload, task.run_id)
    try:
        if not _is_mine(task, storage, key):
            return
        try:
            with tempfile.TemporaryDirectory() as made:
                message = _message(task, task.mail, storage, progress, local, Path(made))
                identifier = _hand_over(task.mail, message)
        except Exception:
            # Nothing was sent: another attempt may try.
            _write_down(task, task.mail, storage, key, "refused")
            raise
        _write_down(task, task.mail, storage, key, "sent", identifier)
        say(f"mailed to {', '.join(task.mail.recipients)}")
    except (NotMailed, StorageError, OSError) as error:
        say(f"the report is published, and was not mailed: {error}")
        progress.checks.append(_warning(f"the report could not be mailed: {error}"))


def _is_mine(task: DeployedTask, storage: Storage, key: str) -> bool:
    """Write down that a mail is under way; False where one was sent, or may have been."""
    assert task.mail is not None
    if _write_down(task, task.mail, storage, key, "sending", only_if_absent=True):
        return True
    text = storage.get(task.data_bucket, key)
    with suppress(ValueError):
        if text is not None and from_json(text).get("state") == "refused":
            _write_down(task, task.mail, storage, key, "sending")
            return True
    say("an earlier attempt has mailed the report, or was about to: it is not mailed again")
    return False


def _write_down(
    task: DeployedTask,
    mail: Mail,
    storage: Storage,
    key: str,
    state: str,
    identifier: str | None = None,
    *,
    only_if_absent: bool = False,
) -> bool:
    record = {
        "schema": SCHEMA,
        "workload": task.workload,
        "run_id": task.run_id,
        "state": state,
        "at": format_time(datetime.now(UTC)),
        "sender": mail.sender,
        "recipients": list(mail.recipients),
        "form": mail.form,
        "message_id": identifier,
    }
    return storage.put(task.data_bucket, key, to_json(record), only_if_absent=only_if_absent)


def _hand_over(mail: Mail, message: bytes) -> str:
    """Give it to SES; its identifier there. Raises NotMailed with SES's reason."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        ses = boto3.client("sesv2", config=Config(retries={"mode": "standard", "max_attempts": 6}))
        response = ses.send_email(
            FromEmailAddress=mail.sender,
            Destination={"ToAddresses": list(mail.recipients)},
            Content={"Raw": {"Data": message}},
        )
    except (BotoCoreError, ClientError) as error:
        raise NotMailed(str(error)) from error
    return str(response["MessageId"])


def _message(
    task: DeployedTask, mail: Mail, storage: Storage, progress: Progress, local: Mapping[str, Path] | None, made: Path
) -> bytes:
    """The mail as it is sent. Raises NotMailed for one that SES would not take."""
    footer = footer_of(task, storage, datetime.now(UTC), progress.inputs)
    message = EmailMessage(policy=SMTP)
    message["From"] = mail.sender
    message["To"] = ", ".join(mail.recipients)
    message["Subject"] = f"[{task.environment}] {task.workload}, {footer.time(footer.published)}"
    lines = [f"The report {task.workload} of {task.environment} was published.", "", _address(task), "", footer.line()]
    attached: tuple[str, bytes] | None = None
    if mail.form == "attachment":
        size = sum(file.bytes for file in progress.files)
        if size * _ENCODED > MOST_BYTES:
            lines[1:1] = ["", f"With {size / 1e6:.0f} MB it is too large for a mail, so only its address is here."]
            warning = f"the report has {size / 1e6:.0f} MB, and SES takes messages up to {MOST_BYTES / 2**20:.0f} MB"
            say(f"{warning}: its address was mailed, not the report")
            progress.checks.append(_warning(f"{warning}: its address was mailed, not the report"))
        else:
            attached = _attachment(task, storage, progress, local, footer, made)
    # In seven bits, which every server on the way takes.
    message.set_content("\n".join(lines) + "\n", cte="quoted-printable")
    if attached is not None:
        name, content = attached
        kind = content_type(name).partition(";")[0].split("/")
        message.add_attachment(content, maintype=kind[0], subtype=kind[1], filename=name)
    written = message.as_bytes()
    if len(written) > MOST_BYTES:
        raise NotMailed(f"the message has {len(written):,} bytes; SES takes up to {MOST_BYTES:,}")
    return written


def _address(task: DeployedTask) -> str:
    if task.reports_url is not None:
        return f"{task.reports_url}/{report_page_key(task.workload)}"
    return f"s3://{task.data_bucket}/{version_prefix(task.workload, task.run_id)}"


def _attachment(
    task: DeployedTask,
    storage: Storage,
    progress: Progress,
    local: Mapping[str, Path] | None,
    footer: Footer,
    made: Path,
) -> tuple[str, bytes]:
    """The report as one file, by name: its only one, or a ZIP of all."""
    files = {file.path: _on_disk(task, storage, file, local, made) for file in progress.files}
    if task.footer:
        for number, path in enumerate(files):
            if path.lower().endswith((*HTML, *XHTML)):
                stamped = made / f"stamped-{number}"
                with files[path].open("rb") as source, stamped.open("wb") as target:
                    stamp(path, source, target, footer, is_entry="/" not in path)
                files[path] = stamped
    if len(files) == 1:
        [(path, only)] = files.items()
        return f"{task.workload}{PurePosixPath(path).suffix}", only.read_bytes()
    packed = made / "packed.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, file in files.items():
            archive.write(file, f"{task.workload}/{path}")
    return f"{task.workload}.zip", packed.read_bytes()


def _on_disk(task: DeployedTask, storage: Storage, file: File, local: Mapping[str, Path] | None, made: Path) -> Path:
    if local is not None and file.path in local:
        return local[file.path]
    target = made / "fetched" / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    storage.download(task.data_bucket, version_prefix(task.workload, task.run_id) + file.path, target, file.bytes)
    return target


def _warning(message: str) -> Result:
    """In the record it stands beside the checks that warn: the owner hears of it."""
    values: dict[str, Any] = dict.fromkeys(("item", "observed", "min", "max", "max_drop", "baseline"))
    return Result(file="", value="mail", passed=False, message=message, kind=OF_MAIL, otherwise="warn", **values)
