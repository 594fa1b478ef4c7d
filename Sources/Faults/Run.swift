import ArgumentParser
import FaultChecking
import Foundation
import LocalStack
import Postgres
import Redis
import UnixSignals

/// The command `holdfast-faults run`, the default.
struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run the system under faults (the default).")

    @Option(help: "Which faults come when, and what is submitted. Default: one of chance, which is printed.")
    var seed: UInt64?

    @Option(help: "How long faults go on.")
    var minutes = 3.0

    @Option(
        help:
            "Which faults, separated by commas; none for none. Default: all. \(FaultKind.allCases.map(\.rawValue).joined(separator: ", "))."
    )
    var faults: String?

    @Option(help: "How many lock nodes: 3 or 5.")
    var nodes = 3

    func run() async throws {
        let kinds = try Self.kinds(faults)
        let seed = seed ?? .random(in: 1...999_999)
        let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-faults-\(seed)-\(getpid())").path
        LocalProcess.endAllAtExit()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let (minutes, nodes) = (minutes, nodes)
        let work = Task { try await Self.judge(seed, minutes, kinds, nodes, folder) }
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let watch = Task { for await _ in signals { work.cancel() } }
        defer { watch.cancel() }
        do {
            guard try await work.value else {
                print("Failed with seed \(seed); what it left is in \(folder)")
                throw ExitCode.failure
            }
            try? FileManager.default.removeItem(atPath: folder)  // What cannot be removed is left in /tmp.
        } catch is CancellationError {
            try? FileManager.default.removeItem(atPath: folder)  // What cannot be removed is left in /tmp.
            throw ExitCode(130)
        }
    }

    /// - Returns: Whether all checks passed.
    private static func judge(
        _ seed: UInt64,
        _ minutes: Double,
        _ kinds: [FaultKind],
        _ nodes: Int,
        _ folder: String
    ) async throws -> Bool {
        print("seed \(seed), \(minutes) minutes, \(nodes) lock nodes, 2 intakes, 3 workers")
        let system = try await FaultSystem.start(in: folder, nodes: nodes, intakes: 2, workers: 3)
        do {
            let evidence = try await FaultRun(system, seed).run(for: .seconds(minutes * 60), kinds)
            return Report(evidence).print()
        } catch {
            await system.stop()
            throw error
        }
    }

    private static func kinds(_ list: String?) throws -> [FaultKind] {
        guard let list else { return FaultKind.allCases }
        return try list.split(separator: ",").filter { $0 != "none" }.map { name in
            guard let kind = FaultKind(rawValue: String(name)) else {
                throw ValidationError("--faults: there is no fault \(name).")
            }
            return kind
        }
    }
}
