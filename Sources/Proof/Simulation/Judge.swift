import FaultChecking
import Redlock

/// Sees all that happens in a simulation, and knows the true time: finds what must not be.
///
/// Unchecked: one thread runs a simulation.
final class Judge: @unchecked Sendable {
    private struct Entry {
        let process: SimulatedProcess
        let keys: [LockKey]
        let token: String
        let fence: Fence
        /// In true time.
        let from: Int64
        var validUntil: ContinuousClock.Instant
        var endedAt = Int64.max

        var end: Int64 { min(endedAt, process.trueTime(of: validUntil)) }
    }

    private(set) var violations: [Violation] = []
    private let schedule: Schedule
    /// Whether locks hold what they promise: not when clocks of lock nodes step forward.
    private let trustsLocks: Bool
    /// How long a process that was frozen may take to cancel what it runs.
    private let grace: Int64
    private let note: (@autoclosure () -> String) -> Void
    private var entries: [Entry] = []
    private var highest: [LockKey: Fence] = [:]

    /// - Parameters:
    ///   - schedule: Has the true time.
    ///   - trustsLocks: Whether locks are to exclude each other; the fence is judged in any case.
    ///   - grace: How long a process that was frozen may take to cancel what it runs.
    ///   - note: Told of what happens.
    init(_ schedule: Schedule, trustsLocks: Bool, grace: Int64, _ note: @escaping (@autoclosure () -> String) -> Void) {
        self.schedule = schedule
        self.trustsLocks = trustsLocks
        self.grace = grace
        self.note = note
    }

    /// A process has a hold.
    ///
    /// - Returns: The hold's number.
    func began(_ hold: Hold, in process: SimulatedProcess) -> Int {
        let entry = Entry(
            process: process,
            keys: hold.keys,
            token: hold.token,
            fence: hold.fence ?? Fence(0),
            from: process.trueTime(of: hold.acquiredAt),
            validUntil: hold.validUntil
        )
        entries.append(entry)
        note("process \(process.number) holds \(hold.keys) under \(entry.fence) until \(entry.end)")
        let number = entries.count - 1
        checkOverlap(number)
        for other in entries where trustsLocks && other.from < entry.from && other.fence >= entry.fence {
            guard let key = other.keys.first(where: entry.keys.contains) else { continue }
            add(.fences, "on \(key), \(entry.fence) was acquired after \(other.fence)")
        }
        return number
    }

    /// A hold is valid for longer.
    func extended(_ number: Int, until validUntil: ContinuousClock.Instant) {
        entries[number].validUntil = validUntil
        note("\(entries[number].fence) is extended until \(entries[number].end)")
        checkOverlap(number)
    }

    /// A hold is about to be given back.
    func ends(_ number: Int) {
        entries[number].endedAt = schedule.now
        note("\(entries[number].fence) ends")
    }

    /// A task that can be cancelled is at work.
    func works(_ number: Int) {
        let entry = entries[number]
        // One that was frozen while an extension was asked for, is cancelled once the nodes' deadline has passed.
        guard schedule.now > entry.end, schedule.now - entry.process.awakeSince > grace else { return }
        add(.atWork, "\(entry.fence) worked on after its validity")
    }

    /// A write took effect.
    func wrote(_ key: LockKey, _ fence: Fence) {
        if let before = highest[key], fence < before {
            add(.staleEffect, "\(key) was written under \(fence) after \(before)")
        }
        highest[key] = max(highest[key] ?? fence, fence)
    }

    /// Somebody changed a lock on a node.
    func touched(_ name: String, of owner: String, by other: String) {
        if owner != other { add(.robbed, "\(other) changed \(name), which \(owner) had locked") }
    }

    /// Something else was found.
    func found(_ rule: Violation.Rule, _ detail: String) { add(rule, detail) }

    private func checkOverlap(_ number: Int) {
        guard trustsLocks else { return }
        let entry = entries[number]
        for (index, other) in entries.enumerated() where index != number {
            guard entry.from < other.end, other.from < entry.end, let key = other.keys.first(where: entry.keys.contains)
            else { continue }
            add(.overlap, "on \(key), \(other.fence) was valid together with \(entry.fence)")
        }
    }

    private func add(_ rule: Violation.Rule, _ detail: String) {
        guard !schedule.isOver else { return }
        note("VIOLATION \(rule): \(detail)")
        violations.append(Violation(rule, detail))
    }
}
