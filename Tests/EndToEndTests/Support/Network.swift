import Foundation
import LocalStack
import Synchronization
import TestSupport

/// Machines on one: network namespaces with an address each, and a router between them that can drop what they say.
///
/// Nothing of it touches the networks that the machine is on: two at once may have the same addresses.
final class Network: Sendable {
    /// A namespace of its own, which only the router leads out of.
    struct Machine: Sendable {
        fileprivate let namespace: String
        let address: String

        /// Runs a program there, as the same process.
        var launcher: [String] { Network.launcher(namespace) }
    }

    /// What all of a network's addresses begin with.
    static let prefix = "10.77.0."
    private static let routerAddress = prefix + "1"
    private static let count = Atomic<Int>(0)
    private static let namespaces = Mutex<Set<String>>([])
    /// Entered once: removes what is left at the exit.
    private static let atExit: Void = { atexit { Network.removeAll() } }()

    private let name: String
    private let machineCount = Atomic<Int>(0)
    private var router: String { "\(name)-router" }

    /// Makes a network, lends it, and takes it away, with all of its machines.
    ///
    /// - Parameter body: Ends what it starts on the machines; gets `nil` where a namespace cannot be made: without `ip`, or
    ///   without the rights of root.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws, or what kept the router from being made.
    static func with<Value>(_ body: (Network?) async throws -> Value) async throws -> Value {
        let network = try await Network()
        defer { if let network { removeAll { $0.hasPrefix("\(network.name)-") } } }
        return try await body(network)
    }

    private init?() async throws {
        // The process id keeps the namespaces of two runs apart.
        name = "holdfast-\(getpid())-\(Self.count.add(1, ordering: .relaxed).newValue)"
        guard Self.ip != nil, geteuid() == 0 else { return nil }
        Self.atExit
        guard await makeNamespace(router) else { return nil }
        try await Self.ip(["-n", router, "link", "set", "dev", "lo", "up"])
        try await Self.require(
            Self.launcher(router) + ["/bin/sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]
        )
    }

    /// Adds a machine, with an address of its own.
    func makeMachine() async throws -> Machine {
        let number = machineCount.add(1, ordering: .relaxed).newValue
        let machine = Machine(namespace: "\(name)-\(number)", address: Self.prefix + "\(number + 1)")
        guard await makeNamespace(machine.namespace) else {
            throw Program.Failed(description: "cannot make the namespace \(machine.namespace)")
        }
        let link = "machine-\(number)"
        let (outside, inside) = (["-n", router], ["-n", machine.namespace])
        for arguments in [
            outside + ["link", "add", "name", link, "type", "veth", "peer", "name", "up", "netns", machine.namespace],
            outside + ["link", "set", "dev", link, "up"],
            outside + ["address", "add", Self.routerAddress, "peer", machine.address, "dev", link],
            inside + ["link", "set", "dev", "lo", "up"],
            inside + ["link", "set", "dev", "up", "up"],
            inside + ["address", "add", machine.address, "peer", Self.routerAddress, "dev", "up"],
            inside + ["route", "add", "default", "via", Self.routerAddress],
        ] { try await Self.ip(arguments) }
        return machine
    }

    /// Drops, from now on, everything between one machine and others, both ways; nobody is told.
    func cut(_ machine: Machine, from others: [Machine]) async throws { try await rules("add", machine, others) }

    /// Lets it through again.
    func mend(_ machine: Machine, with others: [Machine]) async throws { try await rules("delete", machine, others) }

    private func rules(_ order: String, _ machine: Machine, _ others: [Machine]) async throws {
        for other in others {
            for (source, target) in [(machine, other), (other, machine)] {
                try await Self.ip(
                    ["-n", router, "rule", order, "from", source.address, "to", target.address, "blackhole"]
                )
            }
        }
    }

    /// Whether it has been made.
    private func makeNamespace(_ namespace: String) async -> Bool {
        guard (try? await Self.ip(["netns", "add", namespace])) != nil else { return false }  // No rights: no network.
        Self.namespaces.withLock { _ = $0.insert(namespace) }
        return true
    }

    /// Removes names, as `ip netns delete` does; a namespace ends with what runs in it.
    ///
    /// With no process: at the exit none is started.
    private static func removeAll(where isOurs: (String) -> Bool = { _ in true }) {
        let ours = namespaces.withLock { namespaces in
            let ours = namespaces.filter(isOurs)
            namespaces.subtract(ours)
            return ours
        }
        for namespace in ours {
            umount2(path(of: namespace), Int32(MNT_DETACH))
            unlink(path(of: namespace))
        }
    }

    /// What names a namespace.
    private static func path(of namespace: String) -> String { "/run/netns/\(namespace)" }

    private static let ip = ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }.map { URL(filePath: $0) }

    private static func launcher(_ namespace: String) -> [String] {
        ["/usr/bin/nsenter", "--net=\(path(of: namespace))"]
    }

    private static func ip(_ arguments: [String]) async throws {
        guard let ip else { throw Program.Failed(description: "ip is not installed") }
        try await require([ip.path] + arguments)
    }

    private static func require(_ command: [String]) async throws {
        let result = try await Tool.run(URL(filePath: command[0]), Array(command.dropFirst()))
        guard result.status == 0 else {
            throw Program.Failed(description: "\(command.joined(separator: " ")): \(result.output)")
        }
    }
}
