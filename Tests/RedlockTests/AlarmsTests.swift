import Testing

@testable import Redlock

@Suite(.timeLimit(.minutes(2)))
struct AlarmsTests {
    private let clock = ContinuousClock()

    /// Runs `body` while the timers are served.
    private func withAlarms<Value>(_ body: (Alarms) async -> Value) async -> Value {
        let alarms = Alarms(clock: clock)
        let service = Task { await alarms.run() }
        let value = await body(alarms)
        service.cancel()
        await service.value
        return value
    }

    private func whenAsleep(_ watch: Watch) async {
        while !watch.isAsleep { await Task.yield() }
    }

    @Test
    func `sleepers are woken, and not before their time`() async throws {
        let start = clock.now
        let woken = await withAlarms { [clock] alarms in
            await withTaskGroup(of: Int.self) { group in
                for number in (0..<50).shuffled() {
                    group.addTask {
                        let deadline = start.advanced(by: .milliseconds(20 * number))
                        await alarms.sleep(Watch(), until: deadline)
                        #expect(clock.now >= deadline)
                        return number
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
        }
        #expect(woken.sorted() == Array(0..<50))
    }

    @Test(arguments: [true, false])
    func `one whose watch is over sleeps no more, and not at all if it is over before`(isEarly: Bool) async throws {
        await withAlarms { [clock] alarms in
            let watch = Watch()
            if isEarly { watch.end() }
            async let sleeper: Void = alarms.sleep(watch, until: clock.now.advanced(by: .seconds(3600)))
            if !isEarly {
                await whenAsleep(watch)
                watch.end()
            }
            await sleeper
        }
    }

    @Test
    func `a watch that was interrupted says why, and nothing that comes later changes it`() {
        struct Reason: Error {}
        let watch = Watch()
        watch.interrupt(Reason())
        watch.end()
        #expect(watch.isOver && watch.interruption is Reason)
        let ended = Watch()
        ended.end()
        ended.interrupt(Reason())
        #expect(ended.isOver && ended.interruption == nil)
    }

    @Test
    func `sleepers that were woken by the thousand leave nothing, and one after them is woken`() async throws {
        await withAlarms { [clock] alarms in
            let watches = (0..<20_000).map { _ in Watch() }
            await withTaskGroup(of: Void.self) { group in
                for watch in watches {
                    group.addTask { await alarms.sleep(watch, until: clock.now.advanced(by: .seconds(3600))) }
                }
                for watch in watches {
                    await whenAsleep(watch)
                    watch.end()
                }
            }
            #expect(alarms.load.sleepers == 0)
            #expect(alarms.load.entries <= 1001)
            await alarms.sleep(Watch(), until: clock.now.advanced(by: .milliseconds(10)))
        }
    }

    @Test
    func `without a service, or when it ends, a sleeper has a timer of its own`() async throws {
        let alarms = Alarms(clock: clock)
        let first = clock.now.advanced(by: .milliseconds(20))
        await alarms.sleep(Watch(), until: first)
        #expect(clock.now >= first)

        let watch = Watch()
        async let alone: Void = alarms.sleep(watch, until: clock.now.advanced(by: .seconds(3600)))
        await whenAsleep(watch)
        watch.end()
        await alone

        let service = Task { await alarms.run() }
        let deadline = clock.now.advanced(by: .milliseconds(200))
        async let sleeper: Void = alarms.sleep(Watch(), until: deadline)
        while alarms.load.sleepers == 0, clock.now < deadline { await Task.yield() }
        service.cancel()
        await sleeper
        #expect(clock.now >= deadline)
    }

    @Test
    func `without a service a sleeper that is cancelled is woken`() async throws {
        let alarms = Alarms(clock: clock)
        let watch = Watch()
        let sleeper = Task { await alarms.sleep(watch, until: clock.now.advanced(by: .seconds(3600))) }
        await whenAsleep(watch)
        sleeper.cancel()
        await sleeper.value
    }
}
