import FaultChecking
import Foundation
import LocalStack
import Randomness
import Synchronization

/// Does to the system what the seed says, and heals it each time.
final class Injector: Sendable {
    private let system: FaultSystem
    /// How long a long fault takes, at most.
    private let longest: Duration
    private let done = Mutex<[InjectedFault]>([])
    private let forgotten = Mutex<Int64>(0)
    private let erred = Mutex<[NodeErrorWindow]>([])

    /// - Parameters:
    ///   - system: What faults are done to.
    ///   - time: How long faults go on: the longest of them take 10 to 40 s, and no more than a third of it.
    init(_ system: FaultSystem, for time: Duration) {
        self.system = system
        longest = min(max(time / 3, .seconds(10)), .seconds(40))
    }

    var faults: [InjectedFault] { done.withLock { $0 } }
    /// When lock nodes answered with errors.
    var nodeErrors: [NodeErrorWindow] { erred.withLock { $0 } }
    /// When a lock node last forgot its locks, or was about to.
    var lastForgetting: Int64 { forgotten.withLock { $0 } }

    /// One fault after the other until the task is cancelled, which ends between two faults.
    func run(_ kinds: [FaultKind], _ seed: SeededRandom) async throws {
        guard !kinds.isEmpty else { return }
        var random = seed
        while true {
            let pause = Duration.milliseconds(Int.random(in: 500...2500, using: &random))
            let kind = kinds.randomElement(using: &random) ?? kinds[0]
            let time = Int.random(in: 200...5000, using: &random)
            let long = Duration.seconds(10) + (longest - .seconds(10)) * time / 5000
            let duration = kind.isLong ? long : .milliseconds(time)
            let choice = Int.random(in: 0..<1_000_000, using: &random)
            do { try await Task.sleep(for: pause) } catch { return }
            // A task of its own: a fault that was begun is healed.
            try await Task { try await self.inject(kind, duration, choice) }.value
            // After a long one, as much time in which something can be done.
            if kind.isLong { do { try await Task.sleep(for: duration) } catch { return } }
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
                // Up to 8 s: well beyond the locks' time to live, and beyond the 5 s that make a worker dead.
                try await Task.sleep(for: duration * 1.6)
                part.process?.signal(SIGCONT)
            } else {
                await part.process?.end(with: SIGKILL)
                try await Task.sleep(for: duration / 4)
                try part.start()
            }
        case .crashLoop:
            let part = system.workers[choice % system.workers.count]
            target = part.name
            process = part.process?.pid
            for number in 0..<(2 + choice % 4) {
                if number > 0 { try await Task.sleep(for: duration / 2) }
                await part.process?.end(with: SIGKILL)
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
        case .quorumOutage:
            let nodes = system.lockNodes.suffix(system.lockNodes.count / 2 + 1)
            target = "\(nodes.count) lock nodes"
            forgets()
            for node in nodes { await node.kill() }
            try await Task.sleep(for: duration)
            for node in nodes { try await node.start() }
            forgets()
        case .nodeErrors:
            let counts = [1, system.lockNodes.count / 2 + 1, system.lockNodes.count]
            let nodes = Array(system.lockNodes.suffix(counts[choice % 3]))
            target = "\(nodes.count) lock nodes"
            try await answerErrors(nodes, choice / 3, for: duration)
        case .killValueNode:
            target = "the value node"
            try await restart(system.valueNode, after: duration / 4, forgets: false)
        case .valueNodeOutage:
            target = "the value node"
            try await restart(system.valueNode, after: duration, forgets: false)
        case .valueNodeErrors:
            target = "the value node"
            try await answerErrors([system.valueNode], choice, for: duration)
        case .stopPostgres, .crashPostgres:
            target = "PostgreSQL"
            let server = system.database.primary
            await server.process?.end(with: kind == .stopPostgres ? SIGINT : SIGQUIT)
            try await Task.sleep(for: duration / 4)
            try await server.start()
        case .postgresOutage:
            target = "PostgreSQL"
            let server = system.database.primary
            await server.process?.end(with: choice % 2 == 0 ? SIGINT : SIGQUIT)
            try await Task.sleep(for: duration)
            try await server.start()
        case .postgresFrozen:
            target = "PostgreSQL"
            let server = system.database.primary
            server.freeze()
            try await Task.sleep(for: duration)
            server.thaw()
        case .postgresRefused:
            target = "PostgreSQL"
            for link in system.databaseLinks { link.set(.cut) }
            try await Task.sleep(for: duration)
            for link in system.databaseLinks { link.set(.whole) }
        case .postgresClock:
            target = "PostgreSQL"
            // Back by up to an hour, or ahead by seconds: what waits while it is ahead waits for as long when it is right.
            let steps: [Duration] = [.seconds(-3600), .seconds(-10), .seconds(10)]
            system.database.clock.set(ahead: steps[choice % 3])
            try await Task.sleep(for: duration)
            system.database.clock.set(ahead: .zero)
        case .failover:
            target = "PostgreSQL"
            try await system.database.failOver(after: duration / 4)
        case .fullDisk:
            target = "the disk of the lock history"
            system.database.disk?.fill()
            // What is left in the tables' last pages is used up first.
            try await Task.sleep(for: duration + .seconds(1))
            system.database.disk?.free()
        case .clockStep:
            target = "lock node \(system.lockNodes.count)"
            try await step(by: duration * 4, for: duration)
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
        if kind == .failover { try await system.database.renewStandby() }
    }

    /// Lets nodes answer writes with errors for a while; noted is the time in which all of them did.
    private func answerErrors(_ nodes: [RedisServer], _ choice: Int, for duration: Duration) async throws {
        // A value node that becomes a replica would begin its log anew.
        let errors = NodeErrors.allCases.filter { $0 != .readOnly || nodes.first !== system.valueNode }
        let error = errors[choice % errors.count]
        try await NodeErrors.send(error.begin, to: nodes)
        let from = Monotonic.nanoseconds
        try await Task.sleep(for: duration)
        let until = Monotonic.nanoseconds
        try await NodeErrors.send(error.end, to: nodes)
        let windows = nodes.compactMap { node in
            system.lockNodes.firstIndex { $0 === node }.map {
                NodeErrorWindow(node: "lock node \($0 + 1)", fromNanoseconds: from, untilNanoseconds: until)
            }
        }
        erred.withLock { $0 += windows }
    }

    /// Lets the last lock node's clock go ahead for a while: its locks end early, and later ones late.
    private func step(by offset: Duration, for duration: Duration) async throws {
        // A node that forgot its locks is kept out by what it says of its age, which the step would change.
        while Monotonic.nanoseconds - lastForgetting < 4_000_000_000 { try await Task.sleep(for: .milliseconds(100)) }
        forgets()
        system.clock.set(ahead: offset)
        forgets()
        try await Task.sleep(for: duration)
        system.clock.set(ahead: .zero)
    }

    private func forgets() { forgotten.withLock { $0 = Monotonic.nanoseconds } }

    private func restart(_ node: RedisServer, after pause: Duration, forgets: Bool) async throws {
        if forgets { self.forgets() }
        await node.kill()
        try await Task.sleep(for: pause)
        try await node.start()
        if forgets { self.forgets() }
    }
}
