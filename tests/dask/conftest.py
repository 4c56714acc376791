"""A cluster of two worker processes on this machine."""

import warnings

import pytest


@pytest.fixture(scope="session")
def workers():
    """Start two workers of one thread each, once for all tests; no test computes there unasked."""
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    with warnings.catch_warnings(), dask.config.set({"distributed.worker.profile.enabled": False}):
        # Ports that are taken by the other test process, and sockets of workers that have gone.
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            yield client


@pytest.fixture
def cluster(workers):
    """Make the two workers the active scheduler."""
    import dask

    with workers.as_current(), dask.config.set(scheduler="dask.distributed"):
        yield workers
