"""The command line of the lab."""

import argparse
import sys
from pathlib import Path

from lab import commands, detached
from lab.errors import LabError
from lab.invocation import program
from lab.wish import Wish


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code. Errors that a user can mend are one sentence on stderr and code 1."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "up" and arguments.disposable and arguments.kubeconfig is None:
        parser.error("--disposable says something about --kubeconfig, which is missing")
    try:
        return _carry_out(arguments)
    except (LabError, OSError) as error:  # OSError: a full disk, a folder that may not be written
        print(f"lab: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return 1


def _carry_out(arguments: argparse.Namespace) -> int:
    root = arguments.root.absolute()
    match arguments.command:
        case "up":
            wish = Wish(
                root,
                celery="celery" in arguments.with_,
                executor=arguments.executor,
                airflow="airflow" not in arguments.without,
                kubeconfig=arguments.kubeconfig and arguments.kubeconfig.absolute(),
                disposable=arguments.disposable,
            )
            if arguments.detach:
                return detached.run(wish, print)
            from lab import up  # here because it imports every service, a second that no other command should take

            up.run(wish, lambda line: print(line, flush=True))
        case "down":
            commands.down(root)
        case "status":
            return commands.status(root)
        case "start" | "stop":
            commands.switch(root, arguments.name, on=arguments.command == "start")
        case "password":
            commands.password(root, arguments.credential)
        case "run":
            from lab import run

            return run.run(root, arguments.dag, arguments.conf)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program(), description="The embedded cluster with Airflow on it.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--root", type=Path, default=Path(".lab"), help="the lab's folder (default: .lab)")
    commands_ = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help_: str) -> argparse.ArgumentParser:
        return commands_.add_parser(name, help=help_, description=help_, parents=[common])

    up_ = command("up", "start the lab; Ctrl-C stops it")
    up_.add_argument("--detach", action="store_true", help="return when all is healthy and leave it running")
    up_.add_argument(
        "--with", dest="with_", action="append", default=[], choices=["celery"], help="a profile to add (a worker)"
    )
    up_.add_argument(
        "--executor", choices=["local", "kubernetes"], default="local", help="where Airflow runs its tasks"
    )
    up_.add_argument("--without", action="append", default=[], choices=["airflow"], help="a part to leave out")
    up_.add_argument("--kubeconfig", type=Path, metavar="PATH", help="use this API server instead of the lab's own")
    up_.add_argument("--disposable", action="store_true", help="confirm that nobody needs the cluster of --kubeconfig")
    command("down", "stop the lab")
    command("status", "show the services, their memory and addresses")
    for name, help_ in (("stop", "stop a service, or cut a node's power"), ("start", "start it again")):
        command(name, help_).add_argument("name", metavar="NAME", help="a service, or a node such as rpi-4")
    password = command("password", "print a password of the lab")
    password.add_argument("credential", metavar="CREDENTIAL", help="for instance airflow_admin")
    run_ = command("run", "trigger a DAG, show its tasks, and exit 1 if it fails")
    run_.add_argument("dag", metavar="DAG")
    run_.add_argument("--conf", default="{}", metavar="JSON", help="the run's parameters")
    return parser
