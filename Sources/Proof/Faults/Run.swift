import ArgumentParser
import FaultChecking
import Foundation
import LocalStack
import PlantedBugs
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
            "Which faults, separated by commas; none for none. Default: all but postgres-clock. \(FaultKind.allCases.map(\.rawValue).joined(separator: ", "))."
    )
    var faults: String?

    @Option(help: "How many lock nodes: 3 or 5.")
    var nodes = 3

    @Option(help: "How many seconds the queue may take to empty once the faults are over.")
    var patience = 120

    #if DEBUG
        @Option(help: "Which bug intakes and workers have; the run is expected to fail. See planted-bugs.")
        var plant: PlantedBug?
    #endif

    func run() async throws {
        #if DEBUG
            // Before anything asks for it: this process makes the schema, and the others have its environment.
            if let plant { setenv(PlantedBug.variable, plant.rawValue, 1) }
        #endif
        let kinds = try Self.kinds(faults)
        let seed = seed ?? .random(in: 1...999_999)
        let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-faults-\(seed)-\(getpid())").path
        LocalProcess.endAllAtExit()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let work = Task { [self] in try await judge(seed, kinds, folder) }
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let watch = Task { for await _ in signals { work.cancel() } }
        defer { watch.cancel() }
        do {
            guard try await work.value else {
                print("Failed with seed \(seed); what it left is in \(folder)")
                throw ExitCode.failure
            }
            try? await ServerFolder.remove(folder)  // What cannot be removed is left in /tmp.
        } catch  where work.isCancelled {
            // Interrupted while it was being started: parts are there that nobody knows.
            LocalProcess.endAll()
            SmallDisk.unmountAll()
            try? await ServerFolder.remove(folder)  // What cannot be removed is left in /tmp.
            throw ExitCode(130)
        }
    }

    /// - Returns: Whether all checks passed.
    private func judge(_ seed: UInt64, _ kinds: [FaultKind], _ folder: String) async throws -> Bool {
        print("seed \(seed), \(minutes) minutes, \(nodes) lock nodes, 2 intakes, 3 workers")
        fflush(nil)
        let system = try await FaultSystem.start(
            in: folder,
            nodes: nodes,
            intakes: 2,
            workers: 3,
            for: kinds
        )
        var kinds = kinds
        if kinds.contains(.fullDisk), system.database.disk == nil {
            print("full-disk is left out: it takes root, and the right to mount, to make a small disk")
            kinds.removeAll { $0 == .fullDisk }
        }
        do {
            let run = FaultRun(system, seed, patience: .seconds(patience))
            let evidence = try await run.run(for: .seconds(minutes * 60), kinds)
            let isSound = Report(evidence).print()
            try await system.database.unmount(keepingFiles: !isSound)
            return isSound
        } catch {
            await system.stop()
            try await system.database.unmount(keepingFiles: !(error is CancellationError))
            throw error
        }
    }

    private static func kinds(_ list: String?) throws -> [FaultKind] {
        // Where the database's clock steps, jobs that are submitted by SQL change places: they join their lines by it.
        guard let list else { return FaultKind.allCases.filter { $0 != .postgresClock } }
        return try list.split(separator: ",").filter { $0 != "none" }.map { name in
            guard let kind = FaultKind(rawValue: String(name)) else {
                throw ValidationError("--faults: there is no fault \(name).")
            }
            return kind
        }
    }
}
