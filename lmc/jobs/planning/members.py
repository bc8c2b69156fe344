"""One run to train or to finish: where it stands, and what it goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

from torch import Tensor, nn

from lmc.core.errors import LmcError, SettingError, first_line
from lmc.jobs.planning.plan import Plan
from lmc.models.stack import State, is_convolutional, state_of
from lmc.recording.evaluation import activation_size
from lmc.store import files
from lmc.store.experiments import Run
from lmc.store.provenance import provenance
from lmc.training import Samples, Way, way_of_training

WEIGHT, OPTIMISER = "w:", "o:"
"""What the names of tensors in a resume state begin with."""


@dataclass
class Member:
    """One run to train or to finish."""

    plan: Plan
    seed: int
    way: Way

    @property
    def run(self) -> Run:
        """Where it is stored."""
        return self.plan.experiment.run(self.seed)

    @cached_property
    def resumed(self) -> dict[str, Tensor] | None:
        """What an interrupted training left, if it still stores every epoch that is asked for."""
        path = self.run.path / "state.safetensors"
        if not path.is_file():
            return None
        state = files.read_tensors(path)
        epoch = int(state[f"{OPTIMISER}#position"][0])
        done = {stored for stored in self.plan.checkpoints if stored <= epoch}
        return state if done <= set(self.run.epochs()) else None

    @cached_property
    def _network(self) -> nn.Module:
        return self.plan.build(self.seed)

    @property
    def convolutional(self) -> bool:
        """Whether it trains faster alone (measured on a CPU); ``stack=`` says otherwise."""
        return is_convolutional(self._network)

    @property
    def stack_key(self) -> tuple[str, ...]:
        """Members with equal keys can train in step."""
        plan = self.plan
        position = [0, 0] if self.resumed is None else self.resumed[f"{OPTIMISER}#position"].tolist()[:2]
        recipe = {key: value for key, value in asdict(plan.training).items() if key != "checkpoints"}
        parts = (plan.record.data, plan.model, recipe, sorted(plan.constraint.mixings), position, self.way)
        return tuple(map(str, parts))

    def initial(self) -> State:
        """The weights to begin with: stored ones where training goes on."""
        if self.resumed is None:
            return self.plan.initial_state(self.seed)
        return {
            name.removeprefix(WEIGHT): value
            for name, value in self.resumed.items()
            if name.startswith(WEIGHT)
        }

    def progress(self) -> dict[str, Tensor] | None:
        """The optimiser's state and position to go on from."""
        if self.resumed is None:
            return None
        return {
            name.removeprefix(OPTIMISER): value
            for name, value in self.resumed.items()
            if name.startswith(OPTIMISER)
        }

    def prepare(self, fresh: bool) -> None:
        """Mark the run as under way, after deleting what it cannot go on from."""
        if fresh or self.resumed is None:
            self.run.clear()
            self.__dict__.pop("resumed", None)
        name, keywords = self.plan.model
        self.run.write_info(
            status="running",
            model={"name": name, "keywords": keywords},
            seed=self.seed,
            init_seed=self.plan.init_seed(self.seed),
            order_seed=self.plan.order_seed(self.seed),
            constraint_digest=self.plan.constraint.digest(),
            **provenance(),
        )


def members_of(plan: Plan, seeds: Sequence[int]) -> list[Member]:
    """Runs of a plan, whose network is tried once.

    Raises:
        SettingError: the network has nothing to train, or cannot be trained.
    """
    if not seeds:
        return []
    way = _way_of(plan, plan.build(seeds[0]).train())
    return [Member(plan, seed, way) for seed in seeds]


def _way_of(plan: Plan, network: nn.Module) -> Way:
    name = f"model={plan.model[0]}"
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise SettingError(f"{name}: has no weights to train", "leave requires_grad on for some of them")
    train = plan.dataset.train
    samples = Samples(train.inputs, train.targets, plan.dataset.task.losses)
    try:
        return way_of_training(network, plan.constraint.effective(state_of(network)), samples)
    except LmcError:
        raise
    except Exception as error:  # of the network's own code
        raise SettingError(f"{name}: cannot be trained: {first_line(error)}") from error


def memory_of_run(plan: Plan) -> int:
    """Bytes one run takes in training: seven numbers a weight (moments, D, f, ...), and activations."""
    module = plan.build(plan.seeds[0])
    weights = sum(tensor.numel() for tensor in module.parameters())
    batch = plan.training.batch_size * activation_size(module, plan.dataset.train.inputs[:2])
    return 4 * (7 * weights + 6 * batch)
