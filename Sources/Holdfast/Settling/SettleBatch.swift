import Postgres
import Redlock

/// What one call of a settle records, of claims of one worker.
struct SettleBatch: Sendable {
    /// A claim.
    struct Line: Sendable {
        let key: LockKey
        let fence: Fence
        let isFreed: Bool
        let pastPlace: Int64
        let delay: Duration
        let isKeptOut: Bool
    }

    /// Something of a claim, and which: the ordinal of that, from 1.
    struct Entry<Item: Sendable>: Sendable {
        let line: Int32
        let item: Item
    }

    let worker: WorkerID
    private(set) var lines: [Line] = []
    private(set) var finished: [Entry<Settlement.Finished>] = []
    private(set) var retried: [Entry<Settlement.Retried>] = []
    private(set) var events: [Entry<Box<LockEvent>>] = []
    private(set) var votes = PackedVotes()
    private(set) var served = ServedJobs()
    /// Whether an earlier call with the same may have been committed.
    var isInDoubt = false
    /// Whether the only claim queues for its line, for a moment.
    var waits = false
    /// When the server is to do nothing of it any more, and what its clock shows, by a reading of that clock.
    private(set) var giveUpAt: PostgresTimestamp?
    private(set) var clockReads: PostgresTimestamp?
    /// When ages are counted back from.
    private(set) var now = ContinuousClock.now

    init(of worker: WorkerID) { self.worker = worker }

    /// Adds what became of a claim.
    mutating func append(_ settlement: Settlement) {
        lines.append(
            Line(
                key: settlement.claim.key,
                fence: settlement.claim.fence,
                isFreed: settlement.freesLine,
                pastPlace: settlement.pastPlace,
                delay: settlement.delay,
                isKeptOut: settlement.isWaiting
            )
        )
        let line = Int32(lines.count)
        finished += settlement.finished.map { Entry(line: line, item: $0) }
        if let job = settlement.retried { retried.append(Entry(line: line, item: job)) }
        for event in settlement.events { append(event, of: line) }
        if let event = settlement.acquired { append(event, of: line) }
    }

    /// Adds the hold of a claim's first job, which leaves the line as it is.
    mutating func append(acquired event: Box<LockEvent>) {
        let claim = event.value
        lines.append(
            Line(key: claim.key, fence: claim.claimFence, isFreed: false, pastPlace: 0, delay: .zero, isKeptOut: false)
        )
        append(event, of: Int32(lines.count))
    }

    /// Says what the server's clock shows about now, and for how long the call may take.
    mutating func take(_ clock: ServerClock, deadline: Duration) {
        now = .now
        clockReads = clock.time(at: now)
        giveUpAt = clock.time(at: now.advanced(by: deadline))
    }

    /// When each job that is over began: as it was noted, and not after its end.
    ///
    /// What was noted is counted from the acquisition, which is recorded somewhat after the true one; an end is recorded
    /// somewhat before the true one. Of a job that took less time than that it would have begun after it ended.
    var startTimes: [PostgresTimestamp?] {
        var next = events.startIndex
        return finished.map { job in
            guard let startedAt = job.item.startedAt, let clockReads else { return job.item.startedAt }
            // Jobs and events are in the order of their claims, and of the jobs of each.
            while next < events.endIndex, events[next].line < job.line { next += 1 }
            let mine = events[next...].prefix { $0.line == job.line }
            guard let index = mine.firstIndex(where: { $0.item.value.isEnd(of: job.item.job) }) else {
                return startedAt
            }
            let end = events[index].item.value
            next = index + 1
            let endedAt = clockReads.advanced(by: .zero - end.moment.duration(to: now))
            return min(startedAt, max(endedAt, end.notBefore ?? endedAt))
        }
    }

    private mutating func append(_ event: Box<LockEvent>, of line: Int32) {
        events.append(Entry(line: line, item: event))
        votes.append(event.value.votes)
        served.append(event.value.serves)
    }
}

/// The jobs that holds may serve, of all events in one list.
struct ServedJobs: Sendable {
    private(set) var jobs: [Int64] = []
    private(set) var fences: [Int64] = []
    /// Where each event's begin and end, from 1; `nil` for one that names none.
    private(set) var from: [Int32?] = []
    private(set) var upto: [Int32?] = []

    mutating func append(_ served: [ClaimedJob]) {
        from.append(served.isEmpty ? nil : Int32(jobs.count + 1))
        jobs += served.map(\.id.rawValue)
        fences += served.map(\.fence.rawValue)
        upto.append(served.isEmpty ? nil : Int32(jobs.count))
    }
}

/// The votes of events as the history stores them: two numbers for each node, in the order of the nodes.
struct PackedVotes: Sendable {
    /// The nodes that votes are of; one worker's events name the same.
    private(set) var nodes: [String] = []
    /// The verdict, from 1 in the order of `holdfast.verdicts()`, and the latency; for each vote of each event.
    private(set) var packed: [Int16] = []
    /// Where each event's begin, from 1; `nil` for one without.
    private(set) var starts: [Int32?] = []

    mutating func append(_ votes: [Vote]) {
        guard !votes.isEmpty else { return starts.append(nil) }
        if nodes.isEmpty { nodes = votes.map(\.node) }
        assert(nodes == votes.map(\.node), "one list of nodes for all events of a call")
        starts.append(Int32(packed.count + 1))
        for vote in votes {
            packed.append(Self.number(of: vote.verdict))
            packed.append(Self.packed(vote.latency))
        }
    }

    /// Microseconds; what is longer than those reach, 32 ms, in milliseconds and negative.
    private static func packed(_ latency: Duration) -> Int16 {
        let microseconds = max(latency.microseconds, 0)
        return Int16(exactly: microseconds) ?? -Int16(clamping: microseconds / 1000)
    }

    private static func number(of verdict: Vote.Verdict) -> Int16 {
        switch verdict {
        case .granted: 1
        case .held: 2
        case .unreachable: 3
        case .late: 4
        case .quarantined: 5
        case .stepped: 6
        case .refused: 7
        }
    }
}
