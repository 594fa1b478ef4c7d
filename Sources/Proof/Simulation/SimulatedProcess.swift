import PlantedBugs
import Redlock

/// A process that can be frozen, or be gone for good; also the clock that its locks are measured by.
///
/// Its clock runs a little faster or slower than the true time, and never steps; its wall clock does.
///
/// Unchecked: one thread runs a simulation.
final class SimulatedProcess: MonotonicClock, @unchecked Sendable {
    typealias Duration = Swift.Duration
    typealias Instant = ContinuousClock.Instant

    private struct Sleeper {
        let id: Int
        let deadline: Instant
        let continuation: UnsafeContinuation<Void, any Error>
    }

    /// Any instant will do: all others are counted from it.
    private static let origin = ContinuousClock.now

    let number: Int
    let schedule: Schedule
    /// In thousandths, how often it is frozen where it looks at its clock or sends something.
    let stalls: (perMille: Int, longest: Int64)
    private let rate: Double
    /// What its wall clock has stepped by.
    private var step: Int64 = 0
    private var sleepers: [Sleeper] = []
    private var lastID = 0

    /// Jobs that may run.
    var jobs: [UnownedJob] = []
    /// What happened to it while it was frozen.
    var deferred: [() -> Void] = []
    /// `Int64.max` when it is gone.
    var frozenUntil: Int64 = 0
    /// Since when it has not been frozen.
    var awakeSince: Int64 = 0

    var isGone: Bool { frozenUntil == .max }

    /// - Parameters:
    ///   - number: Its own, from 0.
    ///   - schedule: Where it runs.
    ///   - rate: How fast its clock runs.
    ///   - stalls: How often it is frozen, and for how long at most.
    init(_ number: Int, _ schedule: Schedule, rate: Double, stalls: (perMille: Int, longest: Int64)) {
        self.number = number
        self.schedule = schedule
        self.rate = rate
        self.stalls = stalls
        schedule.add(self)
    }

    var now: Instant {
        let reading = instant(at: schedule.now)
        // What was read may be old when it is used.
        stall()
        return reading
    }

    /// What the clock shows, for those who only watch: that freezes nothing.
    var reading: Instant { instant(at: schedule.now) }

    var minimumResolution: Duration { .zero }

    /// What the clock shows at a true time.
    private func instant(at time: Int64) -> Instant {
        var nanoseconds = Int64(Double(time) * rate)
        if PlantedBug.wallClock.isPlanted { nanoseconds += step }
        return Self.origin.advanced(by: .nanoseconds(nanoseconds))
    }

    /// The true time at which the clock shows an instant, rounded up.
    func trueTime(of instant: Instant) -> Int64 {
        let (seconds, attoseconds) = Self.origin.duration(to: instant).components
        var nanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        if PlantedBug.wallClock.isPlanted { nanoseconds -= step }
        return Int64((Double(nanoseconds) / rate).rounded(.up))
    }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        try Task.checkCancellation()
        lastID += 1
        let id = lastID
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                guard !Task.isCancelled else { return continuation.resume(throwing: CancellationError()) }
                let sleeper = Sleeper(id: id, deadline: deadline, continuation: continuation)
                sleepers.append(sleeper)
                wake(sleeper)
            }
        } onCancel: {
            guard let index = sleepers.firstIndex(where: { $0.id == id }) else { return }
            sleepers.remove(at: index).continuation.resume(throwing: CancellationError())
        }
    }

    /// Perhaps freezes the process here and now.
    func stall() {
        guard stalls.perMille > 0, Int.random(in: 0..<1000, using: &schedule.random) < stalls.perMille else { return }
        schedule.stall(for: Int64.random(in: 0...stalls.longest, using: &schedule.random))
    }

    /// Ends the process: nothing of it happens any more.
    func vanish() { frozenUntil = .max }

    /// Sets the wall clock forward or back.
    func stepWallClock(by nanoseconds: Int64) {
        step += nanoseconds
        for sleeper in sleepers { schedule.at(schedule.now, of: self) { [self] in wake(sleeper) } }
    }

    /// Resumes a sleeper, or looks again when its time should have come.
    private func wake(_ sleeper: Sleeper) {
        guard sleepers.contains(where: { $0.id == sleeper.id }) else { return }
        if instant(at: schedule.now) >= sleeper.deadline {
            sleepers.removeAll { $0.id == sleeper.id }
            return sleeper.continuation.resume()
        }
        schedule.at(max(trueTime(of: sleeper.deadline), schedule.now + 1), of: self) { [self] in wake(sleeper) }
    }
}
