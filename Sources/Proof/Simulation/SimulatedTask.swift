import Holdfast
import Redlock

/// The task of a simulated job: it works, writes under its fence, works on.
struct SimulatedTask: TaskHandler {
    static let kind = "simulated"
    /// The same task by another name, which not every worker knows.
    static let otherKind = "other"

    let world: World
    let store: SimulatedStore
    let machine: Machine

    static func payload(of value: String) -> String { value }

    func run(_ value: String, _ context: TaskContext) async throws {
        world.holds += 1
        store.tasks.begins(context.job, in: machine.process)
        let isStubborn = world.random(0, 2) == 0
        // A brief one takes what it declares, or somewhat more.
        let most = context.job.duration <= .milliseconds(50) ? 30 : 500
        let first = { @Sendable in
            try await work(most)
            try await write(context)
        }
        // A task of its own is not cancelled with this one.
        if isStubborn { try await Task { try await first() }.value } else { try await first() }
        try await work(most)
        store.tasks.ends(under: context.fence)
    }

    private func work(_ most: Int) async throws {
        try await machine.process.sleep(for: .milliseconds(world.random(0, most)))
    }

    private func write(_ context: TaskContext) async throws {
        let highest: Fence?
        do {
            highest = try await world.write(context.key, context.fence, machine)
        } catch {
            store.tasks.isOut(under: context.fence)
            throw TaskOutage(description: "\(error)")
        }
        if let highest { throw TaskRefusal(fence: context.fence, highest: highest) }
    }
}
