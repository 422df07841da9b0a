"""Contracts of the copy job's work list: what is on it in the beginning, and where one arbitrary cluster goes.

A cluster is on the work list, in flight, or copied. The list is *every* set, seen by one cluster; where it is read
run by run, it is any set of one run. Where clusters are copied one by one there are at most `FEW` of them, so that
every path is followed to its end.
"""

from cbtimpl import granules
from cbtimpl.backup import REQUEST, CopyInFlight, Failure, Piece, Run  # noqa: F401 (for `pre:`)
from cbtimpl.contracts.arithmetic import LARGEST, a_disk, a_range, shares_a_byte, two_sizes  # noqa: F401 (`pre:`)
from cbtimpl.contracts.jobs import Stub, a_job, a_job_seen_by, job_of
from cbtimpl.contracts.life_cycle import a_bitmap
from cbtimpl.contracts.registry import SUBJECT, contract
from cbtimpl.contracts.stores import Listed, apart, listed, watching  # noqa: F401 (for `pre:`)

FEW = 3
"""Clusters: how many are copied one by one."""


# What a job sets out to copy


@contract("BackupJob.start", "BackupJob.first_work", "Bitmap.freeze")
def a_full_backup_copies_what_exists(cluster: int, size: int, length: int, own: bool, bitmap: bool) -> bool:
    """The work list of a full backup is every cluster of the disk, whatever its bitmap has; and that is frozen.

    pre: a_disk(size, length) and 0 <= cluster
    post: _
    """
    job = a_job(watching(cluster), size, length, "full", "on-success")
    job.bitmap = a_bitmap(cluster, own, granularity=length, size=size) if bitmap else None
    job.start()
    frozen = job.bitmap is None or (job.bitmap.frozen and job.bitmap.user == "job")
    exists = cluster < granules.count(size, length)
    return (cluster in job.work) == exists and cluster not in job.copied and frozen


@contract("BackupJob.start", "BackupJob.first_work", "BackupJob.clusters_of")
def an_increment_copies_what_shares_a_byte(cluster: int, finer: bool, size: int, first: int, past: int) -> bool:
    """A cluster is on the work list exactly if it shares a byte with what is dirty (one run) when the job starts.

    pre: a_disk(size, 1) and 0 <= cluster and first < past and apart(two_sizes(finer)[0], size, (first, past))
    post: _
    """
    granularity, length = two_sizes(finer)
    job = a_job(watching(cluster), size, length, "incremental", "on-success")
    job.bitmap = a_bitmap(0, False, granularity=granularity, size=size)
    job.bitmap.bits = listed(granularity, size, (first, past))
    job.start()
    dirty = shares_a_byte(cluster, first * granularity, (past - first) * granularity, length, size)
    return (cluster in job.work) == dirty and job.bitmap.frozen


@contract("BackupJob.start", "BackupJob.first_work", "BackupJob.clusters_of")
def an_increment_of_the_same_granules_copies_what_is_dirty(granule: int, own: bool, enabled: bool) -> bool:
    """Where clusters are granules, exactly the dirty ones are on the work list; also of a bitmap that is disabled.

    pre: 0 <= granule and granule < granules.count(LARGEST, 512)
    post: _
    """
    job = a_job(watching(granule), LARGEST, 512, "bitmap", "never")
    job.bitmap = a_bitmap(granule, own, enabled)
    job.start()
    return (granule in job.work) == own and granule not in job.copied and (granule in job.bitmap.bits) == own


@contract("BackupJob.withdraw", "Bitmap.thaw")
def a_start_that_is_withdrawn_leaves_no_trace(granule: int, own: bool, enabled: bool) -> bool:
    """Start and withdraw: the bitmap is as it was, and the group has no member.

    pre: 0 <= granule
    post: _
    """
    job = a_job(watching(granule))
    bitmap = job.bitmap = a_bitmap(granule, own, enabled)
    job.start()
    job.withdraw()
    same = (granule in bitmap.bits) == own and bitmap.recording == enabled
    return same and not bitmap.busy and not bitmap.frozen and not job.group.members


# Copying


@contract("BackupJob.begin_copy")
def a_copy_takes_its_clusters_off_the_list(
    cluster: int, to_do: bool, done: bool, first: int, past: int, second: int, end: int, reads: bool
) -> bool:
    """What was read is in flight and not on the list; if the source fails, all is as it was. Others are left alone.

    pre: 0 <= cluster and apart(512, LARGEST, (first, past), (second, end)) and first < past and second < end
    pre: to_do if first <= cluster < past or second <= cluster < end else True
    post: _
    """
    job = a_job_seen_by(cluster, to_do, done, reads=reads)
    runs = [(first, past), (second, end)]
    failure = job.begin_copy(runs)
    taken = first <= cluster < past or second <= cluster < end
    if (cluster in job.copied) != done:
        return False
    if not reads:
        says = failure is not None and failure.side == "source"
        return says and job.in_flight is None and (cluster in job.work) == to_do
    flying = job.in_flight is not None and job.in_flight.runs == runs
    return failure is None and flying and (cluster in job.work) == (to_do and not taken)


@contract("BackupJob.end_copy", "BackupJob.put_back")
def a_copy_ends_copied_or_on_the_list(
    cluster: int, to_do: bool, done: bool, first: int, past: int, writes: bool, told: bool
) -> bool:
    """What was in flight is copied; if the target fails, or the caller says so, it is on the list again.

    pre: 0 <= cluster and 0 <= first < past
    pre: not (to_do or done) if first <= cluster < past else True
    post: _
    """
    job = a_job_seen_by(cluster, to_do, done, (first, past), writes=writes)
    given = Failure("source", OSError(5, "")) if told else None
    failure = job.end_copy(given)
    taken = first <= cluster < past
    well = writes and not told
    says = failure is None if well else failure is not None and failure.side == ("source" if told else "target")
    places = (cluster in job.work, cluster in job.copied)
    return says and job.in_flight is None and places == (to_do or (taken and not well), done or (taken and well))


@contract("BackupJob.end_copy")
def the_end_of_no_copy_is_nothing(cluster: int, to_do: bool, done: bool, told: bool) -> bool:
    """If nothing is in flight nothing changes, and nothing has failed.

    pre: 0 <= cluster
    post: _
    """
    job = a_job_seen_by(cluster, to_do, done)
    failure = job.end_copy(Failure("source", OSError(5, "")) if told else None)
    return failure is None and (cluster in job.work) == to_do and (cluster in job.copied) == done


@contract("BackupJob.copy_chunk", "BackupJob.begin_copy", "BackupJob.end_copy")
def a_chunk_goes_from_the_list_to_the_target(
    cluster: int, to_do: bool, done: bool, first: int, past: int, reads: bool, writes: bool
) -> bool:
    """One step copies its clusters, or leaves all of them on the list; what is in flight beside it stays so.

    pre: 0 <= cluster and 0 <= first < past <= LARGEST
    pre: to_do and not done if first <= cluster < past else not to_do or not done
    post: _
    """
    job = a_job_seen_by(cluster, to_do, done, (past, past + 1), reads, writes)
    flying = job.in_flight
    failure = job.copy_chunk(first, past)
    moved = first <= cluster < past and reads and writes
    kept = job.in_flight is flying and (failure is None) == (reads and writes)
    return kept and (cluster in job.work, cluster in job.copied) == (to_do and not moved, done or moved)


@contract("BackupJob.read")
def what_is_read_is_all_of_the_clusters(first: int, past: int, size: int, certain: bool, known: int) -> bool:
    """The pieces follow each other from the clusters' first byte to their last on the disk; only zeroes are not read.

    pre: a_disk(size, 65536) and 0 <= first < past <= granules.count(size, 65536) and 0 <= known <= size
    pre: (past - first) * 65536 <= 3 * REQUEST
    post: _
    """
    source = Stub(size, certain, known)
    pieces = list(job_of(SUBJECT.job, source, Stub(size), 65536).read(first, past))
    at = first * 65536
    for piece in pieces:
        zeroes = certain and piece.offset + piece.length <= known
        if piece.offset != at or piece.length <= 0 or (piece.data is None and not zeroes):
            return False
        at += piece.length
    asked = [("read", piece.offset, piece.length) for piece in pieces if piece.data is not None]
    return at == min(past * 65536, size) and source.requests == asked


@contract("BackupJob.write")
def what_was_read_is_written_where_it_was(first: int, second: int, zeroes: bool, more: bool, broken: bool) -> bool:
    """Each piece is put where it was read, zeroes as zeroes; an error is the target's.

    pre: 0 <= first <= LARGEST and 0 <= second <= LARGEST
    post: _
    """
    target = Stub(LARGEST, broken=broken)
    pieces = [Piece(first, 1, None if zeroes else b"1"), *([Piece(second, 1, b"1")] if more else [])]
    failure = job_of(SUBJECT.job, Stub(LARGEST), target, 512).write(pieces)
    if broken:
        return failure is not None and failure.side == "target"
    asked = [("zero" if zeroes else "write", first, 1), ("write", second, 1)]
    return failure is None and target.requests == (asked if more else asked[:1])


@contract("BackupJob.wanted", "BackupJob.before_write", "BackupJob.clusters")
def copy_before_write_wants_what_is_hit_and_still_listed(
    cluster: int, offset: int, length: int, first: int, past: int, size: int
) -> bool:
    """A cluster is copied before a write exactly if it shares a byte with the write and is on the list (one run).

    pre: a_disk(size, 512) and a_range(offset, length) and 0 <= cluster
    pre: first < past and apart(512, size, (first, past))
    post: _
    """
    job = a_job(Listed, size)
    job.work = listed(512, size, (first, past))
    found = any(start <= cluster < end for start, end in job.before_write(offset, length))
    return found == (first <= cluster < past and shares_a_byte(cluster, offset, length, 512, size))


@contract("BackupJob.copy_before_write", "BackupJob.chunks", "BackupJob.copy_chunk")
def a_write_finds_its_clusters_saved(
    cluster: int, offset: int, length: int, first: int, past: int, fails_at: int, writes: bool
) -> bool:
    """If copy before write says that it succeeded, no cluster of the write is on the list; and none is ever lost.

    pre: a_range(offset, length) and 0 <= cluster < FEW and 0 <= fails_at <= FEW
    pre: first < past <= FEW and 0 <= first
    post: _
    """
    job = a_job(Listed, 512 * FEW, reads_until=fails_at, writes=writes)
    job.work = listed(512, 512 * FEW, (first, past))
    failure = job.copy_before_write(offset, length)
    hit = shares_a_byte(cluster, offset, length, 512, 512 * FEW)
    to_do, done = cluster in job.work, cluster in job.copied
    somewhere = (to_do != done) if first <= cluster < past else not (to_do or done)
    return somewhere and (hit or not done) and (failure is not None or not (hit and to_do)) and job.in_flight is None


@contract("BackupJob.blocks")
def a_write_waits_for_a_copy_of_its_clusters(
    offset: int, length: int, first: int, past: int, second: int, end: int, size: int, flying: bool
) -> bool:
    """A write waits exactly if it shares a byte with a cluster in flight.

    pre: a_disk(size, 512) and a_range(offset, length)
    pre: apart(512, size, (first, past), (second, end)) and first < past and second < end
    post: _
    """
    job = a_job(Listed, size)
    runs: list[Run] = [(first, past), (second, end)]
    job.in_flight = CopyInFlight(runs, []) if flying else None
    write_end = min(offset + length, size)
    hit = any(max(offset, start * 512) < min(write_end, limit * 512) for start, limit in runs)
    return job.blocks(offset, length) == (flying and hit)


@contract("BackupJob.chunk_end")
def a_step_is_one_cluster_unless_nothing_can_fail(
    first: int, past: int, size: int, length: int, certain: bool, known: int
) -> bool:
    """A step goes on by one cluster at least, not past its end, and by one only where a request can fail.

    pre: a_disk(size, length) and 0 <= first < past <= granules.count(size, length) and 0 <= known <= size
    post: _
    """
    disk = Stub(size, certain, known)
    job = job_of(SUBJECT.job, disk, disk, length)
    end = job.chunk_end(first, past)
    return first < end <= past and (certain or end == first + 1)


@contract("BackupJob.chunks")
def steps_cover_their_runs(first: int, past: int, second: int, end: int) -> bool:
    """The steps of two runs of single clusters are all of them, in order.

    pre: 0 <= first <= past <= first + FEW and past < second <= end <= second + FEW
    post: _
    """
    job = a_job(Listed)
    steps = list(job.chunks([(first, past), (second, end)]))
    starts = [first + number for number in range(past - first)] + [second + number for number in range(end - second)]
    return steps == [(start, start + 1) for start in starts]


@contract("BackupJob.next_chunk")
def the_next_step_begins_with_the_next_listed_cluster(cluster: int, first: int, past: int, size: int) -> bool:
    """The next step is the first cluster at or after the given one that is on the list (one run), if there is one.

    pre: a_disk(size, 512) and 0 <= cluster and first < past and apart(512, size, (first, past))
    post: _
    """
    job = a_job(Listed, size)
    job.work = listed(512, size, (first, past))
    start = max(cluster, first)
    return job.next_chunk(cluster) == ((start, start + 1) if start < past else None)
