/// A machine that messages come to.
///
/// Unchecked: one thread runs a simulation.
final class SimulatedServer: @unchecked Sendable {
    var isUp = true
    /// Messages wait until then.
    var frozenUntil: Int64 = 0
}

/// The way between a process and a server.
///
/// Unchecked: one thread runs a simulation.
final class Way: @unchecked Sendable {
    /// Nothing passes until then.
    var cutUntil: Int64 = 0
}

/// Carries messages, and loses, delays and doubles them.
///
/// Unchecked: one thread runs a simulation.
final class Network: @unchecked Sendable {
    struct Silence: Error {}

    let schedule: Schedule
    private let weather: Weather

    init(_ schedule: Schedule, _ weather: Weather) {
        self.schedule = schedule
        self.weather = weather
    }

    /// Sends a request.
    ///
    /// - Parameters:
    ///   - server: Where to.
    ///   - process: Who asks.
    ///   - way: Between them.
    ///   - mayDouble: Whether it may come twice.
    ///   - serve: What the server does, each time that the request comes; `nil` when it does not answer.
    ///   - answer: Called with each answer that comes.
    func ask<Reply>(
        _ server: SimulatedServer,
        from process: SimulatedProcess,
        over way: Way,
        mayDouble: Bool = true,
        _ serve: @escaping () -> Reply?,
        _ answer: @escaping (Reply) -> Void
    ) {
        for _ in 0..<(mayDouble && happens(weather.doubled) ? 2 : 1) {
            send(over: way, to: nil) { [self] in
                arrive(server) {
                    guard let reply = serve() else { return }
                    self.send(over: way, to: process) { answer(reply) }
                }
            }
        }
    }

    /// Sends a request, and waits for the answer.
    ///
    /// - Throws: ``Silence`` when none has come after `deadline`.
    func ask<Reply: Sendable>(
        _ server: SimulatedServer,
        from process: SimulatedProcess,
        over way: Way,
        within deadline: Int64,
        mayDouble: Bool = true,
        _ serve: @escaping () -> Reply?
    ) async throws -> Reply {
        process.stall()
        return try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Reply, any Error>) in
            var isAnswered = false
            ask(server, from: process, over: way, mayDouble: mayDouble, serve) { reply in
                if !isAnswered { continuation.resume(returning: reply) }
                isAnswered = true
            }
            schedule.at(schedule.now + deadline, of: process) {
                if !isAnswered { continuation.resume(throwing: Silence()) }
                isAnswered = true
            }
        }
    }

    private func arrive(_ server: SimulatedServer, _ serve: @escaping () -> Void) {
        guard server.frozenUntil <= schedule.now else {
            return schedule.at(server.frozenUntil) { [self] in arrive(server, serve) }
        }
        if server.isUp { serve() }
    }

    private func send(over way: Way, to process: SimulatedProcess?, _ arrival: @escaping () -> Void) {
        guard !happens(weather.lost), way.cutUntil <= schedule.now, !schedule.isOver else { return }
        let slowness = happens(weather.slow) ? Int64.random(in: 0...weather.slowest, using: &schedule.random) : 0
        let time = Int64.random(in: weather.latency, using: &schedule.random) + slowness
        schedule.at(schedule.now + time, of: process) { [schedule] in
            if way.cutUntil <= schedule.now { arrival() }
        }
    }

    private func happens(_ perMille: Int) -> Bool {
        perMille > 0 && Int.random(in: 0..<1000, using: &schedule.random) < perMille
    }
}
