import Holdfast
import Redlock

/// The task of a simulated job: it works, writes under its fence, works on.
struct SimulatedTask: TaskHandler {
    static let kind = "simulated"

    let world: World
    let store: SimulatedStore
    let machine: Machine

    static func payload(of value: String) -> String { value }

    func run(_ value: String, _ context: TaskContext) async throws {
        world.holds += 1
        let isStubborn = world.random(0, 2) == 0
        let first = { @Sendable in
            try await work()
            try await write(context)
        }
        // A task of its own is not cancelled with this one.
        if isStubborn { try await Task { try await first() }.value } else { try await first() }
        try await work()
        store.noteEnd(under: context.fence)
    }

    private func work() async throws { try await machine.process.sleep(for: .milliseconds(world.random(0, 500))) }

    private func write(_ context: TaskContext) async throws {
        let highest: Fence?
        do {
            highest = try await world.write(context.key, context.fence, machine)
        } catch {
            throw TaskOutage(description: "\(error)")
        }
        if let highest { throw TaskRefusal(fence: context.fence, highest: highest) }
    }
}
