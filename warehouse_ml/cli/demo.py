"""``wml demo``."""

from __future__ import annotations

import datetime as dt
import gc
import importlib
import threading
import time
from importlib.resources import files
from pathlib import Path

import click

from warehouse_ml.cli.output import format_table, note, status
from warehouse_ml.cli.run import weekly
from warehouse_ml.cli.story import tell_week

FIRST = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
LAST = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)

_COLLECT_EVERY = 13
_QUESTIONS = ("missed.sql", "over_time.sql", "retrained.sql")


@click.command("demo", short_help="Watch a model live through a year of real flights.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("wml_demo"))
@click.option("--weeks", type=click.IntRange(min=1), help="Stop after so many weeks.")
def command(folder: Path, weeks: int | None) -> None:
    """Watch a model live through a year of real flights.

    Writes the example project into FOLDER (wml_demo by default) and runs it: features from raw Parquet, a model
    trained on January to March 2013, then the weekly job for every week up to the end of the year, each seeing only
    what was known then. Ends with three questions, in SQL.
    """
    from warehouse_ml.example import write_flights
    from warehouse_ml.loop.job import run_job
    from warehouse_ml.loop.steps import evaluate_step
    from warehouse_ml.registry import CHAMPION
    from warehouse_ml.session import open_session

    began = time.perf_counter()
    # The slowest import of all goes on beside the first build.
    threading.Thread(target=importlib.import_module, args=["sklearn.ensemble"], daemon=True).start()
    write_flights(folder)
    note(f"wrote {folder}/: 336,776 flights, their weather and planes, and the project's SQL")
    note("question: two hours before departure, will the flight arrive 15 minutes late or more?\n")
    # A week ends on Sunday and its answers are complete two days later, so the weekly job runs on Wednesdays.
    clocks = [FIRST, *weekly(FIRST + dt.timedelta(days=9), LAST)]
    clocks = clocks[: weeks + 1] if weeks else clocks
    with open_session(folder) as session:
        for index, clock in enumerate(clocks):
            if index % _COLLECT_EVERY == 0:
                gc.collect()
            with status() as say:
                result = run_job(session, clock, aliases=[CHAMPION], on_step=say)
            tell_week(result, index + 1, len(clocks))
        # Nobody waits for a shadow: former champions answer for all of their weeks at once.
        note("\nscoring and evaluating the same requests with the former champions, to compare")
        with status() as say:
            evaluate_step(session, [], clocks[-1], on_step=say)
        note(f"\n{len(clocks)} weeks in {time.perf_counter() - began:.0f} s. Three questions, in SQL:")
        for file in _QUESTIONS:
            sql = (files("warehouse_ml.example") / "questions" / file).read_text(encoding="utf-8").strip()
            title, _, query = sql.partition("\n")
            rows = session.warehouse.fetch(query)
            click.echo(f"\n{click.style(title.removeprefix('-- '), bold=True)}\n")
            click.echo("\n".join(f"    {line}" for line in query.strip().splitlines()) + "\n")
            click.echo(format_table(rows.to_pylist(), rows.column_names))
            if not rows.num_rows:
                click.echo("(nothing yet: no version was retrained in so few weeks)")
    note(
        "\nnext:\n"
        f"  cd {folder}\n"
        "  wml query \"select * from wml.latest_fairness where slice_key = 'plane_size' limit 10\"\n"
        "  wml models list\n"
        "  wml models show late_arrival\n"
        "  less models/late_arrival.sql sql/evaluation/late_arrival.sql\n"
        "  wml init ../my_project                  start your own"
    )
