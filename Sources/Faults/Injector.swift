import FaultChecking
import Foundation
import LocalStack
import Randomness
import Synchronization

/// Does to the system what the seed says, and heals it each time.
final class Injector: Sendable {
    private let system: FaultSystem
    private let done = Mutex<[InjectedFault]>([])
    private let wiped = Mutex<Int64>(0)

    init(_ system: FaultSystem) { self.system = system }

    var faults: [InjectedFault] { done.withLock { $0 } }
    /// When a lock node last forgot its locks, or was about to.
    var lastWipe: Int64 { wiped.withLock { $0 } }

    /// One fault after the other until the task is cancelled, which ends between two faults.
    func run(_ kinds: [FaultKind], _ seed: SeededRandom) async throws {
        guard !kinds.isEmpty else { return }
        var random = seed
        while true {
            let pause = Duration.milliseconds(Int.random(in: 500...2500, using: &random))
            let kind = kinds.randomElement(using: &random) ?? kinds[0]
            let duration = Duration.milliseconds(Int.random(in: 200...5000, using: &random))
            let choice = Int.random(in: 0..<1_000_000, using: &random)
            do { try await Task.sleep(for: pause) } catch { return }
            // A task of its own: a fault that was begun is healed.
            try await Task { try await self.inject(kind, duration, choice) }.value
        }
    }

    private func inject(_ kind: FaultKind, _ duration: Duration, _ choice: Int) async throws {
        let from = Monotonic.nanoseconds
        var process: Int32?
        let target: String
        switch kind {
        case .killWorker, .killIntake, .freezeWorker, .freezeIntake:
            let parts = kind == .killWorker || kind == .freezeWorker ? system.workers : system.intakes
            let part = parts[choice % parts.count]
            target = part.name
            process = part.process?.pid
            if kind == .freezeWorker || kind == .freezeIntake {
                part.process?.signal(SIGSTOP)
                // Up to 8 s: well beyond the locks' time to live, and beyond the worker's lease.
                try await Task.sleep(for: duration * 1.6)
                part.process?.signal(SIGCONT)
            } else {
                await part.process?.end(with: SIGKILL)
                try await Task.sleep(for: duration / 4)
                try part.start()
            }
        case .killNode, .wipeNode, .freezeNode:
            let index = kind == .killNode ? 0 : choice % system.lockNodes.count
            let node = system.lockNodes[index]
            target = "lock node \(index + 1)"
            if kind == .freezeNode {
                node.pause()
                try await Task.sleep(for: duration)
                node.resume()
            } else {
                try await restart(node, after: duration / 4, forgets: index > 0)
            }
        case .killValueNode:
            target = "the value node"
            try await restart(system.valueNode, after: duration / 4, forgets: false)
        case .stopPostgres, .crashPostgres:
            target = "PostgreSQL"
            await system.postgres.process?.end(with: kind == .stopPostgres ? SIGINT : SIGQUIT)
            try await Task.sleep(for: duration / 4)
            try await system.postgres.start()
        case .cutLink, .holdLink, .slowLink, .lossyLink:
            let links = system.links
            let link = links[choice % links.count]
            target = link.name
            switch kind {
            case .cutLink: link.set(.cut)
            case .holdLink: link.set(.held)
            case .slowLink: link.set(.slow(.milliseconds(20 + choice % 200)))
            default: link.set(.lossy(3 + choice % 20))
            }
            try await Task.sleep(for: duration)
            link.set(.whole)
        }
        let fault = InjectedFault(
            kind: kind.rawValue,
            target: target,
            process: process,
            fromNanoseconds: from,
            untilNanoseconds: Monotonic.nanoseconds
        )
        done.withLock { $0.append(fault) }
    }

    private func restart(_ node: RedisServer, after pause: Duration, forgets: Bool) async throws {
        if forgets { wiped.withLock { $0 = Monotonic.nanoseconds } }
        await node.kill()
        try await Task.sleep(for: pause)
        try await node.start()
        if forgets { wiped.withLock { $0 = Monotonic.nanoseconds } }
    }
}
