import Testing

@testable import Redlock

@Suite(.timeLimit(.minutes(2)))
struct AlarmsTests {
    private let clock = ContinuousClock()

    /// Runs `body` while the timers are served.
    private func withAlarms<Value: Sendable>(
        _ body: @escaping @Sendable (Alarms) async throws -> Value
    ) async throws -> Value {
        let alarms = Alarms(clock: clock)
        let service = Task { await alarms.run() }
        let result = await Task { try await body(alarms) }.result
        service.cancel()
        await service.value
        return try result.get()
    }

    @Test
    func `sleepers are woken, and not before their time`() async throws {
        let start = clock.now
        let woken = try await withAlarms { [clock] alarms in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in (0..<50).shuffled() {
                    group.addTask {
                        let deadline = start.advanced(by: .milliseconds(20 * number))
                        try await alarms.sleep(until: deadline)
                        #expect(clock.now >= deadline)
                        return number
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
        #expect(woken.sorted() == Array(0..<50))
    }

    @Test
    func `a sleeper that is cancelled throws at once, before it sleeps too`() async throws {
        try await withAlarms { [clock] alarms in
            for isEarly in [true, false] {
                let sleeper = Task { try await alarms.sleep(until: clock.now.advanced(by: .seconds(3600))) }
                if !isEarly { try await Task.sleep(for: .milliseconds(5)) }
                sleeper.cancel()
                await #expect(throws: CancellationError.self) { try await sleeper.value }
            }
        }
    }

    @Test
    func `sleepers that were cancelled by the thousand leave nothing, and one after them is woken`() async throws {
        try await withAlarms { [clock] alarms in
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<20_000 {
                    group.addTask { try? await alarms.sleep(until: clock.now.advanced(by: .seconds(3600))) }
                }
                group.cancelAll()
            }
            #expect(alarms.load.sleepers == 0)
            #expect(alarms.load.entries <= 1001)
            try await alarms.sleep(until: clock.now.advanced(by: .milliseconds(10)))
        }
    }

    @Test
    func `without a service, or when it ends, a sleeper has a timer of its own`() async throws {
        let alarms = Alarms(clock: clock)
        let first = clock.now.advanced(by: .milliseconds(20))
        try await alarms.sleep(until: first)
        #expect(clock.now >= first)

        let deadline = clock.now.advanced(by: .milliseconds(200))
        let service = Task { await alarms.run() }
        let sleeper = Task { try await alarms.sleep(until: deadline) }
        while alarms.load.sleepers == 0, clock.now < deadline { await Task.yield() }
        service.cancel()
        try await sleeper.value
        #expect(clock.now >= deadline)
    }
}
