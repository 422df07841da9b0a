"""Seeded mistakes in the implementation, one or more in each function under contract, and what finds them.

A mistake is a small change of a function's source. It takes effect in the process that applies it, in the function
itself (its code is exchanged), so that every caller runs it. Non-goals: mistakes in the specification (`mutants`);
the mistakes that the conformance suite hunts.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from dataclasses import dataclass
from types import CodeType, FunctionType

from cbtimpl import backup, bitmap, bits, granules

PLACES: dict[str, object] = {
    "granules": granules,
    "GranuleSet": bits.GranuleSet,
    "Bitmap": bitmap.Bitmap,
    "BackupJob": backup.BackupJob,
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """In `function`, as "Bitmap.record", the text `right` (which is there once) is `wrong`; `contract` finds it."""

    function: str
    right: str
    wrong: str
    contract: str

    @property
    def name(self) -> str:
        """Such as "Bitmap.record: `a` for `b`"."""
        return f"{self.function}: `{self.wrong}` for `{self.right}`"

    def apply(self) -> None:
        """Makes the mistake, in this process and for good. Raises `LookupError` if the source is not as expected."""
        function = function_named(self.function)
        namespace = vars(sys.modules[function.__module__])
        compiled = compile(self.source(), f"<{self.function}>", "exec", dont_inherit=True)
        function.__code__ = _code_in(compiled, function.__name__)
        assert function.__globals__ is namespace

    def source(self) -> str:
        """The function with the mistake in it. Raises `LookupError` if the source is not as expected."""
        source = textwrap.dedent(inspect.getsource(function_named(self.function)))
        if source.count(self.right) != 1:
            raise LookupError(f"{self.name}: `{self.right}` is there {source.count(self.right)} times")
        return source.replace(self.right, self.wrong)


def function_named(name: str) -> FunctionType:
    """A function of the implementation, as "granules.count" or "Bitmap.record"; of a property, what computes it."""
    place, _, attribute = name.partition(".")
    found = inspect.getattr_static(PLACES[place], attribute)
    if isinstance(found, property):
        found = found.fget
    found = getattr(found, "__func__", found)
    assert isinstance(found, FunctionType), name
    return found


def _code_in(code: CodeType, name: str) -> CodeType:
    return next(each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == name)


def _of(function: str, *mistakes: tuple[str, str, str]) -> tuple[Mistake, ...]:
    return tuple(Mistake(function, right, wrong, contract) for right, wrong, contract in mistakes)


MISTAKES: tuple[Mistake, ...] = (
    *_of("granules.is_granularity",
         ("value < SMALLEST", "value <= SMALLEST", "granularities_are_the_powers_of_two"),
         ("value == 1", "value <= 3", "granularities_are_the_powers_of_two")),
    *_of("granules.count", (" + granularity - 1", "", "a_granule_exists_if_it_has_a_byte"),
         (" - 1)", ")", "a_granule_exists_if_it_has_a_byte")),
    *_of("granules.clip", ("max(offset, 0)", "offset", "clipping_keeps_the_bytes_of_the_disk"),
         ("min(offset + length, size)", "offset + length", "clipping_keeps_the_bytes_of_the_disk"),
         ("return 0, 0", "return first, first", "an_empty_clip_is_written_in_one_way")),
    *_of("granules.covering", ("(past - 1) // granularity + 1", "past // granularity", "rounding_out_contains"),
         ("(past - 1) // granularity + 1", "past // granularity + 1", "rounding_out_takes_what_shares_a_byte"),
         ("first // granularity", "count(first, granularity)", "rounding_out_contains")),
    *_of("granules.inside", ("count(first, granularity)", "first // granularity", "rounding_in_is_contained"),
         ("if past == size else", "if past > size else", "rounding_in_takes_all_that_is_contained"),
         ("past // granularity", "count(past, granularity) + 1", "rounding_stays_on_the_disk")),
    *_of("granules.span", ("(past - first) * granularity", "past * granularity",
                             "a_span_is_the_bytes_of_its_granules"),
         ("(past - first) * granularity, size", "(past - first) * granularity, size - 1",
          "rounding_out_a_span_gives_it_back")),
    *_of("granules.tail", ("size - (count(size, granularity) - 1) * granularity", "size % granularity",
                           "the_tail_is_what_the_last_granule_has")),
    *_of("GranuleSet.add", ("first < past", "first + 1 < past", "ranges_are_half_open")),
    *_of("GranuleSet.remove", ("remove_range(first, past)", "remove_range(first, past + 1)", "ranges_are_half_open")),
    *_of("GranuleSet.__contains__", ("granule in", "granule not in", "ranges_are_half_open")),
    *_of("GranuleSet.full", ("granules.count(size, granularity)", "size // granularity",
                             "the_full_set_has_what_exists")),
    *_of("GranuleSet.clear", ("self._set.clear()", "pass", "a_copy_is_equal_and_by_itself")),
    *_of("GranuleSet.copy", ("self._set.copy()", "self._set", "a_copy_is_equal_and_by_itself")),
    *_of("GranuleSet.is_empty", ("not self._set", "bool(self._set)", "a_copy_is_equal_and_by_itself")),
    *_of("GranuleSet.set_bytes", ("covering", "inside", "setting_bytes_rounds_out")),
    *_of("GranuleSet.merge", ("|= other._set", "= other._set", "merging_is_union"),
         ("granules.count(self.size, self.granularity)", "granules.count(other.size, self.granularity)",
          "merging_is_union"),
         ("if other.granularity == self.granularity", "if other.size == self.size",
          "merging_across_granularities_rounds_out"),
         ("self.set_bytes(offset, length)", "self.set_bytes(offset, length)\n        break",
          "merging_across_granularities_takes_every_run")),
    *_of("GranuleSet.extents", ("granules.span(first, past,", "granules.span(first, first + 1,",
                                "an_extent_is_the_bytes_of_a_run")),
    *_of("GranuleSet.touches", ("following < past", "following <= past", "a_set_touches_what_shares_a_byte")),
    *_of("GranuleSet.next", ("next_set_bit(granule)", "next_set_bit(granule + 1)",
                             "a_set_touches_what_shares_a_byte")),
    *_of("GranuleSet.run_end", ("while step > 1 and", "while step > 2 and", "the_search_finds_the_end_of_a_run"),
         ("past = min(past + step, limit)", "past += step", "the_search_finds_the_end_of_a_run")),
    *_of("GranuleSet.runs", ("self.next(end)", "None", "without_limits_runs_are_all_that_is_set"),
         ("yield start, end", "yield start, end - 1", "a_run_is_cut_to_the_limits")),
    *_of("Bitmap.__init__", ("self.enabled = enabled", "self.enabled = True", "a_new_bitmap_is_clean_and_free")),
    *_of("Bitmap.touched", ("covering", "inside", "a_write_is_recorded")),
    *_of("Bitmap.record", ("recorder is not None", "recorder is self", "a_write_is_recorded_by_the_successor"),
         ("recorder.bits.add", "self.bits.add", "a_write_is_recorded_by_the_successor")),
    *_of("Bitmap.recorder", ("if standing_in.enabled", "if self.enabled", "a_write_is_recorded_by_the_successor"),
         ("self if self.successor is None else self.successor", "self", "a_write_is_recorded_by_the_successor")),
    *_of("Bitmap.recording", ("self.recorder() is not None", "self.enabled", "what_is_reported_is_so")),
    *_of("Bitmap.busy", ("self.user is not None", "self.successor is not None", "what_is_reported_is_so")),
    *_of("Bitmap.frozen", ("self.successor is not None", "self.user is not None", "what_is_reported_is_so")),
    *_of("Bitmap.enable", ("self.enabled = True", "pass", "switching_changes_nothing_but_the_switch")),
    *_of("Bitmap.disable", ("self.enabled = False", "self.enabled = False; self.bits.clear()",
                            "switching_changes_nothing_but_the_switch")),
    *_of("Bitmap.clear", ("self.bits = self.set_class(self.granularity, self.size)", "self.bits.clear()",
                          "a_clear_can_be_undone")),
    *_of("Bitmap.merge", ("if source.bits.is_empty()", "if self.bits.is_empty()", "a_merge_is_the_union"),
         ("self.bits.merge(source.bits)", "source.bits.merge(self.bits)", "a_merge_is_the_union"),
         ("return", "self.clear()", "a_merge_with_itself_is_nothing")),
    *_of("Bitmap.merge_nothing", ('(field-bugs.md Q32)."""', '(field-bugs.md Q32)."""\n    self.clear()',
                                  "a_merge_is_the_union")),
    *_of("Bitmap.merge_into_nothing", ("self.bits.merge(source.bits)", "pass", "a_merge_is_the_union"),
         ("self.bits.merge(source.bits)", "self.bits = source.bits.copy()",
          "a_merge_across_granularities_rounds_out")),
    *_of("Bitmap.make_successor", ("self.enabled)", "True)", "a_freeze_puts_an_empty_successor_in_place")),
    *_of("Bitmap.freeze", ("self.user = user", "pass", "a_freeze_puts_an_empty_successor_in_place"),
         ("self.user = user", "self.user = user; self.clear()", "a_freeze_puts_an_empty_successor_in_place")),
    *_of("Bitmap.thaw", ("self.successor = None", "pass", "a_thaw_undoes_a_freeze"),
         ("self.user = None", "pass", "a_thaw_undoes_a_freeze")),
    *_of("Bitmap.abdicate", ("self.name, self.persistent", "None, self.persistent", "the_heir_takes_the_name"),
         ("self.name, self.persistent", "self.name, False", "the_heir_takes_the_name"),
         ("self.successor = None", "heir.bits.merge(self.bits)", "the_heir_takes_the_name"),
         ("self.successor = None", "heir.clear()", "no_write_is_lost_by_a_job")),
    *_of("Bitmap.reclaim", ("self.bits.merge(successor.bits)", "pass", "no_write_is_lost_by_a_job"),
         ("self.bits.merge(successor.bits)", "self.bits = successor.bits", "what_was_written_is_taken_back"),
         ("self.enabled = successor.enabled", "pass", "what_was_written_is_taken_back"),
         ("self.user = None", "pass", "what_was_written_is_taken_back")),
    *_of("BackupJob.start", ("self.bitmap.freeze(self.id)", "pass", "a_full_backup_copies_what_exists"),
         ("self.bitmap.freeze(self.id)", "self.bitmap.freeze(self.id); self.bitmap.clear()",
          "an_increment_of_the_same_granules_copies_what_is_dirty")),
    *_of("BackupJob.first_work", ('self.sync == "full" or', "", "a_full_backup_copies_what_exists"),
         ("or self.bitmap is None", "or not self.bitmap.enabled",
          "an_increment_of_the_same_granules_copies_what_is_dirty")),
    *_of("BackupJob.clusters_of", ("selected.merge(dirty)", "pass", "an_increment_copies_what_shares_a_byte"),
         ("selected.merge(dirty)", "[selected.add(*run) for run in dirty.runs()]",
          "an_increment_copies_what_shares_a_byte")),
    *_of("BackupJob.withdraw", ("self.bitmap.thaw()", "self.bitmap.user = None",
                                "a_start_that_is_withdrawn_leaves_no_trace"),
         ("self.group.members.remove(self)", "pass", "a_start_that_is_withdrawn_leaves_no_trace")),
    *_of("BackupJob.begin_copy", ("self.work.remove(first, past)", "pass", "a_copy_takes_its_clusters_off_the_list"),
         ("self.put_back(runs)", "pass", "a_copy_takes_its_clusters_off_the_list"),
         ("CopyInFlight(runs, pieces)", "CopyInFlight(runs[:1], pieces)", "a_copy_takes_its_clusters_off_the_list")),
    *_of("BackupJob.end_copy", ("if failure is None", "if True", "a_copy_ends_copied_or_on_the_list"),
         ("failure or self.write", "self.write", "a_copy_ends_copied_or_on_the_list"),
         ("if copy is None:", "if copy is None and failure is None:", "the_end_of_no_copy_is_nothing"),
         ("self.copied.add(first, past)", "self.copied.add(first, past); self.work.add(first, past)",
          "a_copy_ends_copied_or_on_the_list")),
    *_of("BackupJob.put_back", ("self.work.add(first, past)", "pass", "a_copy_ends_copied_or_on_the_list"),
         ("self.work.add(first, past)", "self.work.add(first, past - 1)", "a_copy_ends_copied_or_on_the_list")),
    *_of("BackupJob.copy_chunk", ("self.in_flight = in_flight", "self.in_flight = None",
                                  "a_chunk_goes_from_the_list_to_the_target"),
         (" or self.end_copy()", "", "a_chunk_goes_from_the_list_to_the_target")),
    *_of("BackupJob.read", ("offset += length", "offset += length + 1", "what_is_read_is_all_of_the_clusters"),
         ("if source.never_fails() else 0", "", "what_is_read_is_all_of_the_clusters")),
    *_of("BackupJob.write", ('Failure("target", error)', "None", "what_was_read_is_written_where_it_was"),
         ("if piece.data is None", "if not piece.offset", "what_was_read_is_written_where_it_was")),
    *_of("BackupJob.clusters", ("covering", "inside", "copy_before_write_wants_what_is_hit_and_still_listed")),
    *_of("BackupJob.wanted", ("self.work.runs(first, past)", "self.work.runs(first, past - 1)",
                              "copy_before_write_wants_what_is_hit_and_still_listed")),
    *_of("BackupJob.before_write", ("self.wanted(offset, length)", "[self.clusters(offset, length)]",
                                    "copy_before_write_wants_what_is_hit_and_still_listed")),
    *_of("BackupJob.copy_before_write", ("if failure is not None:", "if failure is None:",
                                         "a_write_finds_its_clusters_saved"),
         ("return failure", "continue", "a_write_finds_its_clusters_saved")),
    *_of("BackupJob.chunks", ("while first < past", "if first < past", "steps_cover_their_runs"),
         ("first = end", "first = end + 1", "steps_cover_their_runs")),
    *_of("BackupJob.chunk_end", ("source.never_fails() and self.target.never_fails()", "True",
                                 "a_step_is_one_cluster_unless_nothing_can_fail"),
         ("max(first + 1, first + hole // self.cluster)", "first + hole // self.cluster",
          "a_step_is_one_cluster_unless_nothing_can_fail")),
    *_of("BackupJob.next_chunk", ("self.work.next(cluster)", "self.work.next(cluster + 1)",
                                  "the_next_step_begins_with_the_next_listed_cluster")),
    *_of("BackupJob.blocks", ("any(", "all(", "a_write_waits_for_a_copy_of_its_clusters"),
         ("start < past", "start <= past", "a_write_waits_for_a_copy_of_its_clusters")),
    *_of("BackupJob.phase", ("and self.paused", "and not self.paused",
                             "a_job_finishes_only_if_nothing_is_left")),
    *_of("BackupJob.has_finished", ("self.in_flight is None and ", "", "a_job_finishes_only_if_nothing_is_left"),
         (" and self.work.is_empty()", "", "a_job_finishes_only_if_nothing_is_left")),
    *_of("BackupJob.fails_on", ('failure.side == "source"', 'failure.side == "target"',
                                "the_policy_of_the_side_decides"),
         ("self.paused = True", "pass", "the_policy_of_the_side_decides")),
    *_of("BackupJob.synchronises", ('self.bitmap_mode != "never" and ', "",
                                    "the_end_of_a_job_is_as_the_table_has_it"),
         ('success or self.bitmap_mode == "always"', "True", "the_end_of_a_job_is_as_the_table_has_it")),
    *_of("BackupJob.keeps_leftovers", ("not success and ", "success and ",
                                       "the_end_of_a_job_is_as_the_table_has_it")),
    *_of("BackupJob.leftovers", ("left.merge(self.work)", "pass", "leftovers_are_rounded_out"),
         ("self.bitmap.granularity, self.node.size", "self.cluster, self.node.size", "leftovers_are_rounded_out")),
    *_of("BackupJob.finish", ("heir.bits.merge(self.leftovers())", "pass", "the_end_of_a_job_is_as_the_table_has_it"),
         ("self.node.bitmaps[name] = heir", "pass", "the_end_of_a_job_is_as_the_table_has_it")),
)  # fmt: skip
"""All of them. Where two contracts find a mistake, the one that says it best is named."""
