import Randomness
import Redlock

/// Those who use the lock alone: they lock one key or two, draw a fence, work and write under the hold.
///
/// Unchecked: one thread runs a simulation.
final class LockClients: Program, @unchecked Sendable {
    private static let keys = [LockKey(stored: "a"), LockKey(stored: "b")]

    let seats: Int
    let needsDatabase = false
    // Unowned: the world has it, and outlives it.
    private unowned let world: World
    /// Of each seat.
    private var jobsLeft: [Int]

    init(_ world: World, _ random: inout SeededRandom) {
        self.world = world
        seats = Int.random(in: 2...4, using: &random)
        jobsLeft = Array(repeating: 2, count: seats)
    }

    var left: String? {
        let left = jobsLeft.reduce(0, +)
        return left == 0 ? nil : "\(left) jobs"
    }

    /// Does a seat's jobs, each until it has succeeded once.
    func run(_ seat: Int, on machine: Machine) async {
        let (process, judge) = (machine.process, world.judge)
        while jobsLeft[seat] > 0, !Task.isCancelled {
            let keys = world.random(0, 3) == 0 ? Self.keys : [Self.keys[world.random(0, 1)]]
            let isStubborn = world.random(0, 2) == 0
            do {
                let hold = try await machine.redlock.acquire(keys)
                world.holds += 1
                let number = judge.began(hold, in: process)
                let result = await Self.result {
                    try await machine.redlock.keep(hold, limit: nil) { extended in
                        judge.extended(number, until: extended.validUntil)
                    } _: { [self] in
                        let task = { @Sendable [self] in
                            try await work(hold, number, machine, isStubborn: isStubborn)
                        }
                        // A task of its own is not cancelled with this one.
                        if isStubborn { try await Task { try await task() }.value } else { try await task() }
                    }
                }
                judge.ends(number)
                world.reached("lock: \(Self.name(of: result))")
                await machine.redlock.release(hold)
                try result.get()
                jobsLeft[seat] -= 1
            } catch {
                world.note("process \(process.number): \(error)")
                try? await process.sleep(for: .milliseconds(world.random(1, 300)))  // Cancelled: the loop ends.
            }
        }
    }

    /// Works, writes under the hold's fence, works on.
    private func work(_ hold: Hold, _ number: Int, _ machine: Machine, isStubborn: Bool) async throws {
        let steps = world.random(1, 5)
        let pause = Duration.milliseconds(world.random(0, 400))
        for step in 0...steps {
            try await machine.process.sleep(for: pause)
            if !isStubborn { world.judge.works(number) }
            guard step == steps / 2 else { continue }
            for key in hold.keys {
                let highest = try await world.write(key, hold.fence ?? Fence(0), machine)
                if highest != nil { throw LockError(.refused, keys: [key]) }
            }
        }
    }

    private static func name(of result: Result<Void, any Error>) -> String {
        switch result {
        case .success: "released"
        case .failure(let error as LockError): "\(error.code.rawValue)"
        case .failure: "outage"
        }
    }

    private static func result(_ body: () async throws -> Void) async -> Result<Void, any Error> {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}
