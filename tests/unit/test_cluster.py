"""What is said where there is no Ray, or no cluster: one message, at once."""

from __future__ import annotations

import builtins
import socket
import threading
from types import SimpleNamespace

import pytest

from moodbench import cluster as module
from moodbench.cluster import check_engine, cluster
from moodbench.errors import MoodbenchError, UsageError


@pytest.fixture(scope="module")
def ray():
    """The module, imported before what tests leave behind is looked at: it changes `sys.path` and the environment."""
    pytest.importorskip("ray")
    return module.the_ray()


def test_without_ray_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(module, "QUIET", {})
    real = builtins.__import__

    def refusing(name, *rest, **more):
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(UsageError, match="needs the package 'ray'") as caught:
        check_engine("ray")
    assert "pip install 'moodbench-ood[ray]'" in str(caught.value)
    check_engine("local")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rya",), "engine cannot be 'rya'"),
        (("local", "auto"), "is that of a Ray cluster"),
        (("local", None, 2), "the local engine has no workers"),
        (("ray", None, 0), "at least 1, got 0"),
    ],
)
def test_arguments_that_make_no_sense_together(ray, arguments, words):
    with pytest.raises(UsageError, match=words):
        check_engine(*arguments)


def test_the_local_engine_of_extract_has_workers_of_its_own(ray):
    check_engine("local", None, 0, own_workers=False)
    with pytest.raises(UsageError, match="at least 1"):
        check_engine("local", None, -1, own_workers=False)


@pytest.fixture
def no_ray_runs(ray, monkeypatch):
    """Let no test here join what happens to run, nor wait for Ray."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **how: pytest.fail("Ray was asked"))
    monkeypatch.setattr(ray, "shutdown", lambda: None)


@pytest.mark.parametrize("address", ["here", "ray://there:10001", "host:", ":6379", "host:99999", "host:six"])
def test_what_is_no_address_is_refused(no_ray_runs, address):
    with pytest.raises(UsageError, match="is no address of a Ray cluster"), cluster(address):
        pass


def test_where_nobody_listens_the_answer_comes_at_once(no_ray_runs):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = f"no Ray cluster answers at '127.0.0.1:{port}'"
    with pytest.raises(MoodbenchError, match=words), cluster(f"127.0.0.1:{port}"):
        pass


def test_the_address_of_the_environment_is_asked_in_the_same_way(no_ray_runs, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(MoodbenchError, match="no Ray cluster answers"), cluster("auto"):
        pass


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH", b""])
def test_another_server_is_told_from_ray(no_ray_runs, answer):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            line, _ = server.accept()
            with line:
                line.recv(100)
                line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(MoodbenchError, match="is no Ray cluster"), cluster(address):
            pass
        thread.join()


def test_a_cluster_that_does_not_start_is_tried_again_and_then_one_message(no_ray_runs, ray, monkeypatch):
    folders = []

    def fails(**how):
        folders.append(how["_temp_dir"])
        raise Exception("The current node timed out during startup. This could happen because of much")

    monkeypatch.setattr(ray, "init", fails)
    words = "cannot be started on this machine: The current node timed out"
    with pytest.raises(MoodbenchError, match=words) as caught, cluster(workers=1):
        pass
    assert len(folders) == module.STARTS
    assert not any(module.Path(folder).exists() for folder in folders)
    assert "could happen" not in str(caught.value)
    assert all(len(folder) <= module.SHORT for folder in folders)


def test_where_ray_has_ended_on_this_machine_is_one_message(ray, monkeypatch, tmp_path):
    name = str(tmp_path / "raylet")
    monkeypatch.setattr(ray._private.worker, "_global_node", SimpleNamespace(raylet_socket_name=name))
    with pytest.raises(MoodbenchError, match="Ray has ended on this machine"):  # it took its socket along
        module.refuse_if_ray_is_gone()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raylet:
        raylet.bind(name)
        raylet.listen()
        module.refuse_if_ray_is_gone()
    with pytest.raises(MoodbenchError, match="Ray has ended on this machine"):  # it was killed
        module.refuse_if_ray_is_gone()
    monkeypatch.setattr(ray._private.worker, "_global_node", None)
    module.refuse_if_ray_is_gone()
