"""Builds a sender from its settings, runs it, and drains it when it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from diffc_stream import codec
from diffc_stream.codec.extent import USUAL, Rule
from diffc_stream.destination import check
from diffc_stream.diffusion.collection import Collection
from diffc_stream.errors import ConfigurationError
from diffc_stream.ledger import Ledger, NotesFile
from diffc_stream.session import Terms
from diffc_stream.transport import mqtt
from diffc_stream.transport.admission import descriptors_for
from diffc_stream.transport.exposure import is_loopback
from diffc_stream.transport.fd_limit import allow
from diffc_stream.transport.footprint import keep_small
from diffc_stream.transport.health import StatusPort
from diffc_stream.transport.signals import leave_at_once, on_hangup, on_stop
from diffc_stream.transport.systemd import Supervisor
from diffc_stream.transport.tls import believing
from diffc_viewer import Assets, Facts, Site
from diffc_viewer.origin_policy import own_names

from .auth.options import SecurityOptions
from .auth.sending_budget import SendingBudget
from .cache.store import Store, open_store
from .catalogue.cameras import Cameras
from .catalogue.catalogue import Catalogue
from .cli import Settings
from .daemon import SenderDaemon
from .encoding.pipeline import Pipeline
from .encoding.source import FileOpener
from .http.comparison import Comparison
from .mqtt.options import Extent
from .mqtt.publisher import Publisher
from .ops.health import status_port
from .ops.metrics import SenderMetrics
from .websocket.dialler import Dialler, bearer_headers

logger = logging.getLogger("diffc_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The parts of a sender, before any of them has been started."""

    daemon: SenderDaemon
    """Listens for receivers, unless the settings say --no-listen."""
    diallers: list[Dialler]
    publisher: Publisher | None
    """Publishes to an MQTT broker, if the settings name one."""
    status: StatusPort | None
    page: bool
    """Whether it serves a page for browsers."""


async def run(settings: Settings, security: SecurityOptions) -> None:
    """Serve until told to stop.  Raises DiffcError, or OSError if a port cannot be opened."""
    store = None
    if settings.store:
        store = open_store(
            settings.store, most_bytes=settings.store_size, cache=settings.store_cache
        )
    cameras = Cameras(settings.key_every) if settings.follow_camera else None
    catalogue = Catalogue(settings.folder, memory=store, cameras=cameras)
    models = Collection.at_hand(settings.model)
    fingerprint = models.preferred.fingerprint  # loaded now, so that errors show at start
    codec.prepare()
    keep_small()
    stopped = _on_signals()  # before this, nothing needs a gentle end
    budget = await asyncio.to_thread(_budget, settings)
    app = build(settings, security, catalogue, models, store, budget)
    on_hangup(app.daemon.look_again)  # for senders that only dial too
    async with contextlib.AsyncExitStack() as ports:
        if budget is not None:
            ports.push_async_callback(budget.close)
        watched = (await ports.enter_async_context(app.status)).url if app.status else None
        for dialler in app.diallers:
            await ports.enter_async_context(dialler)
        drains = [dialler.drain for dialler in app.diallers]
        where = f"dialling {', '.join(settings.dial)}"
        if app.publisher is not None:
            await ports.enter_async_context(app.publisher)
            drains.append(app.publisher.drain)
            where = f"publishing to {settings.mqtt}"
        if settings.listen:
            await ports.enter_async_context(app.daemon)
            drains.append(app.daemon.drain)
            where = f"serving on {app.daemon.url}"
            _announce(app, fingerprint, watched, settings)
        await _until_drained(where, drains, stopped, settings.drain)


def build(
    settings: Settings,
    security: SecurityOptions,
    catalogue: Catalogue,
    models: Collection,
    store: Store | None,
    budget: SendingBudget | None = None,
) -> App:
    """Return a sender of the catalogue's pictures.  Raises DiffcError, or OSError."""
    metrics = SenderMetrics()
    # What is published has to be enough for the next picture to start from.
    starts = USUAL
    if settings.mqtt is not None:
        starts = Rule(psnr=settings.mqtt_psnr, bytes=settings.mqtt_bytes)
    pipeline = Pipeline(
        FileOpener(models),
        store=store,
        encoders=settings.encoders,
        queue=settings.queue,
        metrics=metrics,
        describing=FileOpener(models, facts=settings.metadata) if settings.metadata else None,
        starts=starts,
    )
    assets = Assets(models.files)
    site = Site(assets, Facts(compare=settings.compare)) if settings.viewer else None
    names = [*own_names(), *security.names]
    daemon = SenderDaemon(
        catalogue,
        pipeline,
        host=settings.host,
        port=settings.port,
        terms=Terms(window=settings.window),
        connections=_allowed(settings.connections),
        names=[settings.host, *names],
        site=site,
        comparison=Comparison(catalogue) if site and settings.compare else None,
        metrics=metrics,
        grace=settings.drain,
        reuse_port=settings.reuse_port,
        reception=security.access_control(budget),
        certificate=security.certificate,
        origins=security.origins,
        strict=security.strict,
    )
    status = None
    if settings.metrics is not None:
        check = partial(_problem, settings.folder, store)
        status = status_port(settings.metrics, metrics, check, names=names, strict=security.strict)
    diallers = [
        _dialler(url, settings, catalogue, pipeline, metrics, budget) for url in settings.dial
    ]
    published = _publisher(settings, catalogue, pipeline, models, metrics, budget)
    page = site is not None and assets.complete
    return App(daemon=daemon, diallers=diallers, publisher=published, status=status, page=page)


def _dialler(
    url: str,
    settings: Settings,
    catalogue: Catalogue,
    pipeline: Pipeline,
    metrics: SenderMetrics,
    budget: SendingBudget | None,
) -> Dialler:
    token, authorities = settings.dial_token, settings.dial_ca
    return Dialler(
        url,
        catalogue,
        pipeline,
        terms=Terms(window=settings.window),
        headers=bearer_headers(url, token, exposed=settings.insecure) if token else None,
        tls=believing(authorities) if authorities else None,
        metrics=metrics,
        grace=settings.drain,
        budget=budget,
    )


def _budget(settings: Settings) -> SendingBudget | None:
    """Return the budget that the settings give, if any.  Raises ConfigurationError, or OSError."""
    if settings.budget.unlimited:
        return None
    if settings.budget_file is None:
        raise ConfigurationError(
            "--bytes-per-hour, --bytes-per-day, --bytes-per-month and --between need --budget-file "
            "FILE, to note what was sent"
        )
    check(settings.budget_file)  # while serving, it would only be logged
    return SendingBudget(Ledger(settings.budget, NotesFile(settings.budget_file)))


def _publisher(
    settings: Settings,
    catalogue: Catalogue,
    pipeline: Pipeline,
    models: Collection,
    metrics: SenderMetrics,
    budget: SendingBudget | None,
) -> Publisher | None:
    """Return the publisher that the settings ask for.  Raises SafetyError, or MissingPackage."""
    broker = settings.mqtt
    if broker is None:
        return None
    mqtt.library()
    login = mqtt.read_login(settings.mqtt_login)
    mqtt.check_login(broker, login, exposed=settings.insecure)
    return Publisher(
        broker,
        catalogue,
        pipeline,
        extent=Extent(
            piece=settings.mqtt_message,
            bytes=settings.mqtt_bytes,
            psnr=settings.mqtt_psnr,
            pictures=settings.mqtt_pictures,
        ),
        login=login,
        tls=believing(settings.mqtt_ca) if broker.tls else None,
        camera=models if settings.home_assistant else None,
        metrics=metrics,
        budget=budget,
    )


async def _until_drained(
    where: str,
    drains: Iterable[Callable[[], Awaitable[None]]],
    stopped: asyncio.Event,
    grace: float,
) -> None:
    """Wait for the order to stop, then drain; tell systemd of each stage, if it is there."""
    with contextlib.closing(Supervisor(os.environ)) as supervisor:
        watching = asyncio.create_task(supervisor.watch())
        supervisor.ready(where)
        await stopped.wait()
        supervisor.stopping()
        logger.info("draining, for %g s at most", grace)
        await asyncio.gather(*(drain() for drain in drains))
        watching.cancel()


def _on_signals() -> asyncio.Event:
    """Return an event that the first signal to stop sets; a second signal ends the process."""
    stopped = asyncio.Event()

    def told() -> None:
        if stopped.is_set():
            leave_at_once()
        stopped.set()

    on_stop(told)
    return stopped


def _problem(folder: Path, store: Store | None) -> str:
    """Return why receivers should use another sender, "" if all is well.  Reads the disk."""
    if not folder.is_dir():
        return "the folder of pictures is missing"
    return store.problem() if store else ""


def _announce(app: App, fingerprint: str, watched: str | None, settings: Settings) -> None:
    url = app.daemon.url
    page = f"http{url.removeprefix('ws')}/" if app.page else None
    if settings.json:
        facts = {"url": url, "page": page, "folder": str(settings.folder), "model": fingerprint}
        line = json.dumps({**facts, "metrics": watched})
    else:
        browsers = f", for browsers on {page.rstrip('/')}" if page else ""
        line = f"serving {settings.folder} on {url}{browsers}"
    print(line, flush=True)
    if watched:
        logger.info("watched on %s", watched)
    if not is_loopback(settings.host) and settings.tokens is None:
        logger.warning(
            "anyone who can reach %s can read these pictures: there are no tokens", settings.host
        )


def _allowed(connections: int) -> int:
    """Return how many connections the system allows; log a warning if those are fewer."""
    allowed = allow(connections, descriptors_for)
    if allowed < connections:
        logger.warning(
            "no more than %d connections: the system allows too few open files (ulimit -n)", allowed
        )
    return allowed
