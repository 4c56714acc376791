"""A cluster of two worker processes on this machine."""

import warnings

import pytest


@pytest.fixture(scope="module")
def cluster():
    """Start two workers of one thread each, and make them the active scheduler."""
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        # Ports that are taken by the other test process, and sockets of workers that have gone.
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
            ) as workers,
            distributed.Client(workers) as client,
        ):
            yield client
