"""The lab's ports: free, distinct, remembered."""

import socket
from contextlib import closing

from lab import ports
from lab.ports import Ports


def test_a_name_keeps_its_port() -> None:
    some = Ports()
    assert some.of("postgres") == some.of("postgres")
    assert some.of("postgres") != some.of("openbao")


def test_a_warm_start_takes_the_ports_of_the_start_before() -> None:
    first = Ports()
    first.of("postgres")
    assert Ports(first.numbers).of("postgres") == first.of("postgres")


def test_a_port_that_somebody_took_meanwhile_is_given_up() -> None:
    first = Ports()
    with closing(socket.create_server(("127.0.0.1", first.of("postgres")))):
        assert Ports(first.numbers).of("postgres") != first.of("postgres")


def test_a_new_name_never_gets_the_port_that_another_one_remembers() -> None:
    """Otherwise the later one of the two would lose its own."""
    first = Ports()
    first.of("postgres")
    again = Ports(first.numbers)
    names = [f"node-{number}" for number in range(50)]
    assert first.of("postgres") not in {again.of(name) for name in names}


def test_a_port_on_which_a_connection_has_just_ended_is_free() -> None:
    """A stopped server's port waits a minute in TIME_WAIT; the next start must get it all the same."""
    port = Ports().of("server")
    with closing(socket.create_server(("127.0.0.1", port))) as server:
        client = socket.create_connection(("127.0.0.1", port))
        connection, _ = server.accept()
        assert not ports.is_free(port)
        connection.close()  # the server's side closes first, so it is the one that waits
        client.close()
    assert ports.is_free(port)
