/// The server that the database runs on: it is frozen, it is away, and its clock steps.
///
/// Unchecked: one thread runs a simulation.
final class SimulatedDatabase: @unchecked Sendable {
    let server = SimulatedServer()
    private let schedule: Schedule
    /// What its clock has stepped by.
    private var step: Int64 = 0
    /// When it did not serve, in true time.
    private var outages: [(from: Int64, until: Int64)] = []

    init(_ schedule: Schedule) { self.schedule = schedule }

    /// What its clock shows, in nanoseconds.
    var clock: Int64 { schedule.now + step }

    func stepClock(by nanoseconds: Int64) { step += nanoseconds }

    /// Freezes it: what is sent to it meanwhile is served when it goes on.
    func freeze(for time: Int64) {
        let end = schedule.now + time
        outages.append((schedule.now, end))
        server.frozenUntil = max(server.frozenUntil, end)
    }

    /// Takes it away, with what is sent to it meanwhile; it keeps what it has.
    func takeAway(for time: Int64) {
        guard server.isUp else { return }
        outages.append((schedule.now, schedule.now + time))
        server.isUp = false
        schedule.at(schedule.now + time) { [self] in server.isUp = true }
    }

    /// The end of the last outage that took so long, and ended after a time.
    func endOfOutage(longerThan length: Int64, after time: Int64) -> Int64? {
        // Outages that overlap are one.
        var merged: [(from: Int64, until: Int64)] = []
        for outage in outages.sorted(by: { $0.from < $1.from }) {
            if let last = merged.last, outage.from <= last.until {
                merged[merged.count - 1].until = max(last.until, outage.until)
            } else {
                merged.append(outage)
            }
        }
        return merged.filter { $0.until - $0.from > length && $0.until > time && $0.from <= schedule.now }.last?.until
    }
}
