#if DEBUG
    import Foundation
#endif

/// Something that could be wrong with the system, and is made so on purpose, to see that it is noticed.
///
/// A debug build has each of them, switched on by the environment variable `HOLDFAST_PLANTED_BUG`, one in a process. In a
/// release build none can be: ``isPlanted`` is a constant there, and what it guards is compiled away.
@usableFromInline package enum PlantedBug: String, CaseIterable, Sendable {
    /// N/2 votes are a quorum.
    case quorumOfHalf = "quorum-of-half"
    /// Validity has nothing taken off for clocks that differ.
    case noDrift = "no-drift"
    /// The time that the votes took is not taken off, and votes that came too late count.
    case noValidityCheck = "no-validity-check"
    /// Validity is measured on the wall clock.
    case wallClock = "wall-clock"
    /// A release removes the lock, whoever's it is.
    case releaseWithoutToken = "release-without-token"
    /// An extension keeps the lock, whoever's it is.
    case extendWithoutToken = "extend-without-token"
    /// A task goes on when its hold is lost.
    case noCancellation = "no-cancellation"
    /// A node that was restarted, and has forgotten its locks, votes at once.
    case noQuarantine = "no-quarantine"
    /// Values are written whatever their fence.
    case writeWithoutFence = "write-without-fence"
    /// A claim is settled though its line has been claimed again.
    case settleWithoutFence = "settle-without-fence"
    /// `acquired` is written once the task has ended.
    case acquiredAfterwards = "acquired-afterwards"
    /// A settle that frees its line only takes the lock that an enqueue's does not conflict with.
    case freeingWithWeakLock = "freeing-with-weak-lock"
    /// A line that has more jobs is freed and never gets ready.
    case lostWakeup = "lost-wake-up"
    /// A job joins a line that is there without locking it, and a settle may delete the line meanwhile.
    case enqueueWithoutLock = "enqueue-without-lock"
    /// A client is answered before the commit of its job is on disk.
    case replyBeforeCommit = "reply-before-commit"

    /// A hold that serves several jobs is recorded with its first only, and the others' tasks begin all the same.
    case sharedHoldUnrecorded = "shared-hold-unrecorded"
    /// A hold serves brief jobs of its key as long as there are any, and nobody else gets the lock.
    case endlessSlice = "endless-slice"
    /// A line that becomes ready gets the turn that was drawn last.
    case turnDrawnTwice = "turn-drawn-twice"
    /// The line that became ready last is claimed first.
    case claimsOutOfOrder = "claims-out-of-order"
    /// A worker is dead when its last beat is old by the database's clock.
    case rescueByClock = "rescue-by-clock"
    /// A worker is dead when its beat is seen for the second time.
    case rescueAtFirstSight = "rescue-at-first-sight"
    /// An attempt's limit counts from its lock's acquisition, and not from its task's start.
    case limitFromAcquisition = "limit-from-acquisition"
    /// An attempt counts that met an outage.
    case outageCounted = "outage-counted"
    /// A lock node that answers with an error has voted for the lock.
    case errorIsVote = "error-is-vote"

    #if DEBUG
        package static let variable = "HOLDFAST_PLANTED_BUG"

        private static let planted: PlantedBug? = ProcessInfo.processInfo.environment[variable].map { name in
            guard let bug = PlantedBug(rawValue: name) else { fatalError("\(variable): there is no bug \(name)") }
            return bug
        }

        /// Whether this process has it.
        package var isPlanted: Bool { self == Self.planted }
    #else
        /// Whether this process has it; never in a release build.
        @inlinable package var isPlanted: Bool { false }
    #endif
}
