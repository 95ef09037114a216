"""The controller under whatever comes: a state machine of looks, failures, strangers and restarts."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from policies.model import Rollout
from policies.mwaa import Mwaa, ScaleIn
from simulations.inputs import bounds, calm_looks, guard_chains, looks
from simulations.play import Play
from simulations.puppet import Puppet

SLOTS = 16


class Target(RuleBasedStateMachine):
    """One target's life; `Play` checks every invariant after each look."""

    play: Play | None = None

    @initialize(guards=guard_chains, scale_in=st.sampled_from(ScaleIn), workers=st.integers(0, 20))
    def starts(self, guards, scale_in, workers):
        controller = Controller(Mwaa(SLOTS, scale_in), guards, Watch(SLOTS, guards.bounds.maximum))
        self.play = Play(controller, Puppet(SLOTS))
        self.play.puppet.resize(workers, self.play.at - 600, 0.0)

    @rule(look=looks)
    def looks_once(self, look):
        self.play.look(look)

    @rule(look=calm_looks, times=st.integers(2, 12))
    def looks_calmly(self, look, times):
        for _ in range(times):
            self.play.look(look)

    @rule(desired=st.integers(0, 40))
    def somebody_writes(self, desired):
        self.play.foreign_write(desired)

    @rule(rollout=st.sampled_from(Rollout))
    def somebody_deploys(self, rollout):
        self.play.puppet.rollout = rollout

    @rule(master=st.sampled_from(["", "", "Application Auto Scaling"]))
    def somebody_else_scales(self, master):
        self.play.puppet.contested_by = master

    @rule(bounds=bounds())
    def reloads(self, bounds):
        self.play.reload(bounds)

    @rule()
    def restarts(self):
        self.play.restart()

    @precondition(lambda self: self.play is not None)
    @invariant()
    def remembers_no_more_than_it_may(self):
        """Every window, list and set of the state has a bound."""
        state, guards = self.play.state, self.play.controller.guards
        assert len(state.history) <= self.play.controller.history_bound
        assert len(state.ownership.expected) <= 4
        assert len(state.ownership.foreign_at) <= 3600
        assert all(state.moves[-1].at - move.at <= guards.rate_period_seconds for move in state.moves)
        for wishes in (state.lows, state.highs):
            sizes = [size for _, size in wishes.entries]
            assert len(set(sizes)) == len(sizes)

    def teardown(self):
        if self.play is not None:
            self.play.replays()


TestTarget = Target.TestCase
TestTarget.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
