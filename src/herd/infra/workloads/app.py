"""An app: a program that people use in a browser, such as Streamlit, Shiny or Dash."""

from typing import ClassVar

from herd.infra.workloads.api import Api


class App(Api):
    """A folder of apps/: copies of a program that people use, at `<balancer>/<name>/` or `<name>.<domain>`.

        app = App(spec, platform, balancers.serving(spec), project)
        app.url, app.service.name, app.target_group.arn

    It has the resources of an API. A session lives in the memory of one copy, so the balancer sends a browser to the
    copy that it saw last: a page, its websocket and its uploads meet there.
    """

    TYPE: ClassVar[str] = "App"
    STICKY_SECONDS: ClassVar[int | None] = 24 * 60 * 60
