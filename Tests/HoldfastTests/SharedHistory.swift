import Randomness

/// A made-up history of keys whose holds serve many jobs, and who held each key when, by how it was made.
///
/// Times are microseconds since the beginning of the history.
struct SharedHistory {
    /// A row of the history.
    struct Event {
        let at: Int64
        let key: String
        let event: String
        let job: Int64
        let fence: Int64
        var validity: Int64?
        var held: Int64?
        var jobs: [Int64] = []
        var fences: [Int64] = []
    }

    /// A job's part of a hold.
    struct Part: Hashable {
        let key: String
        let job: Int64
        let fence: Int64
        /// The first job of the hold, and its fence.
        let first: Int64
        let firstFence: Int64
        let from: Int64
        /// Until when it had the key; when its end is not recorded, until the hold was valid.
        let to: Int64
        /// `nil` when its worker died, or it runs.
        let end: String?
    }

    /// How a hold went.
    private enum Fate: Equatable { case served, diedUnrecorded, diedHalfRecorded, runs }

    private(set) var events: [Event] = []
    private(set) var parts: [Part] = []
    /// The last hold of a key that has one which lasts.
    private(set) var running: [String: Part] = [:]
    /// How long each key's history is.
    private(set) var lengths: [String: Int64] = [:]
    private var random: SeededRandom
    private var lastJob: Int64 = 0
    private var lastFence: Int64 = 0

    private let slack: Int64

    /// - Parameters:
    ///   - keys: How many keys there are.
    ///   - holds: How many holds each has.
    ///   - seed: Of what is random.
    ///   - slack: By how much acquisitions are recorded after their true times at most, and ends before theirs, in
    ///     microseconds.
    init(keys: Int, holds: Int, seed: UInt64, slack: Int64 = 0) {
        random = SeededRandom(state: seed)
        self.slack = slack
        for key in 0..<keys { make("k\(key)", holds, lasts: key % 2 == 0) }
    }

    private mutating func make(_ key: String, _ holds: Int, lasts: Bool) {
        var now: Int64 = .random(in: 1...1_000_000, using: &random)
        // Jobs that wait, with the fences that their claim has given them; none when the line is to be claimed.
        var jobs: [Int64] = []
        var fences: [Int64] = []
        for number in 0..<holds {
            if fences.isEmpty {
                for _ in 0..<max(0, .random(in: 1...40, using: &random) - jobs.count) {
                    lastJob += 1
                    jobs.append(lastJob)
                }
                fences = jobs.indices.map { lastFence + 1 + Int64($0) }
                lastFence += Int64(jobs.count)
            }
            let isLast = number == holds - 1
            let fate: Fate =
                if isLast, lasts {
                    .runs
                } else {
                    switch Int.random(in: 0..<20, using: &random) {
                    case 0: .diedUnrecorded
                    case 1: .diedHalfRecorded
                    default: .served
                    }
                }
            let served = add(key, jobs, fences, fate, &now)
            jobs.removeFirst(served)
            fences.removeFirst(served)
            // Dead workers' claims are made anew; some others give their line back too.
            if fate != .served || .random(in: 0..<4, using: &random) == 0 { fences = [] }
            // Sometimes the next hold begins at the moment at which this one ends.
            if Bool.random(using: &random) { now += .random(in: 1...20_000, using: &random) }
        }
        lengths[key] = now
    }

    /// Adds a hold.
    ///
    /// - Returns: How many of its jobs are over.
    private mutating func add(
        _ key: String,
        _ jobs: [Int64],
        _ fences: [Int64],
        _ fate: Fate,
        _ now: inout Int64
    ) -> Int {
        let acquired = now
        let recorded = acquired + .random(in: 0...slack, using: &random)
        // Recorded ends are what counts: the first validity is shorter than some holds, and longer than others.
        let validity: Int64 = .random(in: 100_000...3_000_000, using: &random)
        events.append(
            Event(
                at: recorded,
                key: key,
                event: "acquired",
                job: jobs[0],
                fence: fences[0],
                validity: validity,
                jobs: jobs.count > 1 ? jobs : [],
                fences: jobs.count > 1 ? fences : []
            )
        )
        var count = Bool.random(using: &random) ? jobs.count : .random(in: 1...jobs.count, using: &random)
        if fate == .diedUnrecorded || fate == .runs { count = 1 }
        for index in 0..<count {
            let from = now
            func part(to end: Int64, _ event: String?) -> Part {
                Part(
                    key: key,
                    job: jobs[index],
                    fence: fences[index],
                    first: jobs[0],
                    firstFence: fences[0],
                    from: from,
                    to: end,
                    end: event
                )
            }
            let isLast = index == count - 1
            guard !isLast || fate == .served else {
                let end = max(acquired + validity, now)
                let last = part(to: end, nil)
                parts.append(last)
                if fate == .runs {
                    running[key] = last
                } else {
                    now = end + .random(in: 1...1_000_000, using: &random)
                    events.append(Event(at: now, key: key, event: "rescued", job: jobs[index], fence: fences[index]))
                }
                return index
            }
            now += .random(in: 1...50_000, using: &random)
            let ends = ["released", "released", "released", "lost", "overrun"]
            let end = isLast ? ends.randomElement(using: &random)! : "passed"
            let at = max(recorded, now - .random(in: 0...slack, using: &random))
            events.append(
                Event(at: at, key: key, event: end, job: jobs[index], fence: fences[index], held: now - from)
            )
            parts.append(part(to: now, end))
        }
        return count
    }
}
