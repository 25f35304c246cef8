"""The command line. Each command is imported when it is called, so that help comes at once."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Sequence

import click

from warehouse_ml import __version__

__all__ = ["cli", "main"]

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

# name: (module, help). The order is the order of the loop, and of `wml --help`.
_COMMANDS = {
    "demo": ("demo", "Watch a model live through a year of real flights."),
    "init": ("init", "Start a small project that builds, trains and evaluates at once."),
    "build": ("build", "Build features and requests up to the clock."),
    "test": ("test", "Run the project's tests: SQL that returns the rows that are wrong."),
    "train": ("train", "Train a model and publish it as a version."),
    "predict": ("predict", "Score the requests that are due and log them."),
    "evaluate": ("evaluate", "Bring everything up to date and evaluate each window that is due."),
    "run": ("run", "The weekly job: build, predict, evaluate, retrain if a rule says so."),
    "promote": ("promote", "Let a version serve, or give it another alias."),
    "rollback": ("rollback", "Let the version serve again that did before."),
    "fallback": ("fallback", "Let the safe version serve, now."),
    "rules": ("rules", "List the rules, and what each says at the clock."),
    "retrain": ("retrain", "Train again what the rules name, or MODEL, and what they feed."),
    "query": ("query", "Ask the warehouse in SQL."),
    "replay": ("replay", "Score old decisions again, bit for bit, and explain them."),
    "models": ("models", "List the versions of models, show one, or tell two apart."),
    "compile": ("compile", "Show the SQL that would run."),
    "copy": ("copy", "Copy a project's history from one warehouse to another."),
    "doctor": ("doctor", "Check that the project and its warehouse are ready."),
    "lint": ("lint", "Tell what another engine refuses or reads differently."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"warehouse_ml.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from warehouse_ml.errors import WmlError, did_you_mean

            known = list(_COMMANDS)
            raise WmlError(f'no command "{args[0]}"', has=known, hint=did_you_mean(args[0], known) or "see: wml --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="wml")
def cli() -> None:
    """SQL-first machine learning in your own warehouse.

    Features, requests and evaluations are SQL files; a model is a CREATE MODEL statement; every result is a table.
    Start with `wml demo`.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 a rule or test fired, 2 the user's mistake, 3 the warehouse failed."""
    # A command is short, and parsed SQL is a forest of small objects: looking through them again and again for cycles
    # took a tenth of a long run. Commands that go on for long collect where they have made much.
    gc.disable()
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    from warehouse_ml.errors import WmlError

    try:
        code = cli.main(args=arguments, prog_name="wml", standalone_mode=False)
    except WmlError as error:
        _tell(error)
        return error.exit_code
    except click.exceptions.Abort:
        click.echo("interrupted: the step that was running left nothing behind", err=True)
        return INTERRUPTED
    except KeyboardInterrupt:
        click.echo("interrupted: the step that was running left nothing behind", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # The reader of a pipe has gone, as `| head` does; there is nobody left to tell.
        sys.stderr.close()
        return 0
    return code if isinstance(code, int) else 0


def _tell(error: Exception) -> None:
    first, *rest = str(error).splitlines()
    click.echo(click.style("error: ", fg="red", bold=True) + first, err=True)
    for line in rest:
        click.echo(line, err=True)
    if sql := getattr(error, "sql", None) if getattr(error, "exit_code", 2) == 3 else None:
        click.echo("  sql:  " + " ".join(sql.split())[:400], err=True)
