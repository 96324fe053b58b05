"""More than one device and more than one machine: TensorFlow's strategies, and what their workers agree on."""

import atexit
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, near_misses

STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")
LOST = (  # what a collective operation raises when a worker has gone
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnknownError,
)


def strategy(name: str = "auto", replicas: int | None = None) -> tf.distribute.Strategy:
    """Makes a `tf.distribute` strategy for generative models. Call it before anything else touches TensorFlow.

    Build and compile a model under `strategy.scope()`, and call `fit` as usual: the batch size stays the global one.

    Args:
        name: `"one"` device; `"mirrored"`: all local GPUs or, without one, as many logical CPUs as `replicas` says or
            as the caller has configured; `"multi_worker"`: one process for each machine, which find each other by
            `TF_CONFIG` (as Kubeflow and `--workers` set it), Slurm's variables, or the pods of an indexed Kubernetes
            job; `"tpu"`: construction only, never run on one by the tests; `"auto"`: the first of these that the
            environment asks for.
        replicas: devices of `"mirrored"`; `None` takes all there are.

    Returns:
        The strategy; for `"one"` TensorFlow's default.

    Raises:
        UsageError: an unknown name, devices or workers that are not there, or a TensorFlow that has already started
            with fewer devices.

    Example:
        >>> strategy = keras_gen.distribution.strategy("mirrored", replicas=2)
        >>> with strategy.scope():
        ...     model = keras_gen.get("dcgan", image_shape=(28, 28, 1))
        ...     model.compile()
        >>> model.fit(images, batch_size=128)
    """
    if name not in STRATEGIES:
        raise UsageError(f"strategy {name!r} is not known; {near_misses(str(name), STRATEGIES)}")
    if replicas is not None and (isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 1):
        raise UsageError(f"replicas is {replicas!r}; expected a whole number, at least 1")
    chosen = _auto(replicas) if name == "auto" else name
    if replicas not in (None, 1) and chosen != "mirrored":
        raise UsageError(f"replicas={replicas} is for strategy 'mirrored', not {chosen!r}; leave it out")
    return {"one": tf.distribute.get_strategy, "multi_worker": _multi_worker, "tpu": _tpu}.get(
        chosen, lambda: _mirrored(replicas)
    )()


def _auto(replicas):
    if replicas is not None:
        return "mirrored"
    if _tf_config().get("cluster") or int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1 or _in_indexed_job():
        return "multi_worker"
    if os.environ.get("TPU_NAME"):
        return "tpu"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "one"


# --- one machine -----------------------------------------------------------------------------------------------------


def _mirrored(replicas):
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus:
        if replicas is not None and replicas > gpus:
            raise UsageError(f"replicas={replicas}, but there are {gpus} GPUs; give at most {gpus}, or leave it out")
        return tf.distribute.MirroredStrategy([f"GPU:{index}" for index in range(replicas or gpus)])
    return tf.distribute.MirroredStrategy(
        [f"CPU:{index}" for index in range(_logical_cpus(replicas))],
        # Collectives between logical CPUs mix up the instances of synchronized batch normalization.
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def _logical_cpus(replicas):
    """Returns how many logical CPUs to use, after making them where nobody has yet."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    have = len(tf.config.get_logical_device_configuration(cpu) or ())
    if replicas is None and have < 2:
        raise UsageError("strategy 'mirrored' found no GPU; give replicas (--replicas 2) to use so many logical CPUs")
    if replicas is None or replicas <= max(have, 1):
        return replicas or have
    if have > 1:
        raise UsageError(f"replicas={replicas}, but {have} logical CPUs are configured; give at most {have}")
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    except RuntimeError:
        raise UsageError(
            f"TensorFlow has already started with one CPU; make a strategy of {replicas} replicas before anything else"
        ) from None
    return replicas


def _tpu():
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(os.environ.get("TPU_NAME", ""))
        return tf.distribute.TPUStrategy(resolver)
    except Exception as error:  # whatever is missing: a driver, a name, a network
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:80]
        raise UsageError(f"strategy 'tpu' found no TPU ({reason}); give another strategy, or set TPU_NAME") from None


# --- many machines ---------------------------------------------------------------------------------------------------


def _multi_worker():
    addresses, index, accelerators = _cluster()
    if not 0 <= index < len(addresses):
        raise UsageError(f"this worker is number {index} of {len(addresses)}; expected 0 to {len(addresses) - 1}")
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": addresses}), "", "worker", index, "", accelerators, "grpc"
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except RuntimeError as error:
        if "program startup" in str(error) or "initialized" in str(error):
            raise UsageError("TensorFlow has already started; make the strategy before anything else") from None
        raise
    except LOST as error:
        raise ConnectionError(
            f"worker {index} at {addresses[index]} cannot join the others: {_line(error)}; check that all were started"
        ) from error


def _cluster():
    """Returns the addresses of all workers, the chief first, this one's index and its devices."""
    gpus = {"GPU": len(tf.config.list_physical_devices("GPU"))}
    if _tf_config().get("cluster"):
        return *_by_tf_config(_tf_config()), gpus
    if "SLURM_STEP_NUM_TASKS" in os.environ:
        return _by_slurm()
    if _in_indexed_job():
        return *_by_kubernetes(), gpus
    raise UsageError(
        "strategy 'multi_worker' found no cluster; set TF_CONFIG, use Slurm's srun, or --workers N on one machine"
    )


def _tf_config():
    text = os.environ.get("TF_CONFIG", "").strip() or "{}"
    try:
        read = json.loads(text)
        if not isinstance(read, dict):
            raise ValueError
        return read
    except ValueError:
        raise UsageError(f"TF_CONFIG is not a JSON object: {text[:40]!r}; expected a cluster and a task") from None


def _by_tf_config(read):
    try:
        cluster, task = read["cluster"], read["task"]
        chiefs, workers = cluster.get("chief", []), cluster.get("worker", [])
        index = {"chief": 0, "worker": len(chiefs)}[task["type"]] + int(task["index"])
        return [*chiefs, *workers], index
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UsageError(
            'TF_CONFIG has no usable cluster and task; expected {"cluster": {"worker": ["host:port"]}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from None


def _by_slurm():
    from tensorflow.python.distribute.cluster_resolver import slurm_cluster_resolver as slurm

    try:
        per_node = max(slurm.expand_tasks_per_node(os.environ["SLURM_STEP_TASKS_PER_NODE"]))
        gpus = _slurm_gpus() // per_node
        # The resolver counts tasks by their GPUs; where there are none, it is told of one each that nobody uses.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=max(gpus, 1) * per_node, gpus_per_task=max(gpus, 1), auto_set_gpu=gpus > 0
        )
        addresses = resolver.cluster_spec().job_tasks("worker")
    except (RuntimeError, ValueError, KeyError) as error:
        raise UsageError(f"Slurm's variables do not tell the workers: {_line(error)}; start with srun") from None
    return addresses, resolver.task_id, {"GPU": gpus}


def _slurm_gpus():
    """Returns the GPUs of this node; TensorFlow itself must not look before it is told which to use."""
    listed = os.environ.get("SLURM_GPUS_ON_NODE") or os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return (
        int(listed)
        if listed.isdecimal() and "SLURM_GPUS_ON_NODE" in os.environ
        else len(listed.split(",")) * (listed != "")
    )


def _in_indexed_job():
    return "KUBERNETES_SERVICE_HOST" in os.environ and "JOB_COMPLETION_INDEX" in os.environ


def _by_kubernetes():
    job = os.environ.get("HOSTNAME", "").rpartition("-")[0]  # pods of an indexed job are called <job>-<index>
    try:
        resolver = tf.distribute.cluster_resolver.KubernetesClusterResolver({"worker": [f"job-name={job}"]})
        addresses = sorted(resolver.cluster_spec().job_tasks("worker"))  # one order for all, whatever the server's
    except (ImportError, RuntimeError) as error:
        raise UsageError(f"the pods of job {job!r} cannot be listed: {_line(error)}; or set TF_CONFIG") from None
    import socket

    own = socket.gethostbyname(socket.gethostname())
    found = [index for index, address in enumerate(addresses) if address.rpartition(":")[0] == own]
    if not found:
        raise UsageError(f"this pod's address {own} is not among the workers {addresses}; set TF_CONFIG")
    return addresses, found[0]


def _line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:80]


# --- workers ---------------------------------------------------------------------------------------------------------


def spans_workers(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether a strategy trains in several processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and _count(strategy) > 1


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process writes the files of a training: the only one does, of several the first."""
    return bool(strategy.extended.should_checkpoint)


def _count(strategy):
    return strategy.num_replicas_in_sync // len(strategy.extended.worker_devices)


class Workers:
    """The processes that train one model together: one, if the strategy does not span more.

    Args:
        strategy: that the model was made under.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy, self.chief = strategy, is_chief(strategy)
        self.count = _count(strategy) if spans_workers(strategy) else 1
        self._add: Any = None

    def sum(self, values: Sequence[float]) -> list[float]:
        """Adds numbers over all workers, each of which must call this at the same point of its program."""
        if self.count == 1:
            return [float(value) for value in values]
        if self._add is None:
            local = len(self.strategy.extended.worker_devices)

            def add(numbers):
                here = tf.identity(numbers)  # on the replica's device, which the sum goes by
                return tf.distribute.get_replica_context().all_reduce("sum", here) / local

            self._add = tf.function(lambda numbers: self.strategy.run(add, args=(numbers,)))
        result = self._add(tf.constant(np.asarray(values, np.float64)))
        return self.strategy.experimental_local_results(result)[0].numpy().tolist()

    def same(self, number: int) -> bool:
        """Returns whether every worker came here with the same number."""
        differs = self.sum([number])[0] != number * self.count
        return not self.sum([differs])[0]

    def wait(self) -> None:
        """Goes on when every worker has come here."""
        self.sum([0.0])


def _leave():
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


@contextlib.contextmanager
def lost_worker(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Says in one line that another worker has gone, in place of TensorFlow's account of it.

    TensorFlow notices within 10 seconds or so. It cannot go on without a restart, and its own way out of the process
    may wait for the lost worker without end: so the process then ends with code 1, and without it.

    Raises:
        ConnectionError: a collective operation failed because a worker is not there any more.
    """
    try:
        yield
    except LOST as error:
        if not spans_workers(strategy):
            raise
        atexit.register(_leave)  # the last that is registered is the first to run
        raise ConnectionError(
            "another worker has gone, so this one stops; the same command on each goes on from the last checkpoint"
        ) from error
