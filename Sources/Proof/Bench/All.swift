import ArgumentParser
import Foundation

/// The command `holdfast-bench all`.
struct All: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Every workload that has an aim, in one table.",
        discussion: """
            Takes less than 30 minutes, and about 10 GB in the temporary folder (TMPDIR); with --quick less than 3 minutes. \
            Standard error says what is being measured, as the command that measures it alone. A workload that fails is told \
            of, and the others go on; the exit status is 1 then. An aim that is missed changes nothing in it.
            """
    )

    @Flag(help: "Smaller sizes and a single run: to see that everything works, and about where it stands.")
    var quick = false

    @Flag(help: .hidden)
    var smallest = false

    @Option(help: "Only these workloads, separated by commas.")
    var only: String?

    @Flag(help: "One JSON object for each figure, on a line of its own.")
    var json = false

    /// The commands that measure what is wanted.
    private func commands() throws -> [String] {
        let all = smallest ? Extent.smallest : quick ? Extent.quick : Extent.full
        guard let names = only?.split(separator: ",") else { return all }
        return try names.flatMap { name in
            let own = all.filter { $0.split(separator: " ").first == name }
            guard !own.isEmpty else { throw ValidationError("--only: there is no workload \(name) among these.") }
            return own
        }
    }

    func validate() throws { _ = try commands() }

    func run() async throws {
        let (report, commands) = (Report(json: json), try commands())
        let start = ContinuousClock.now
        let failed = try await interruptible {
            try await report.begin()
            var failed: [String] = []
            for (index, command) in commands.enumerated() {
                Report.say("\(start.duration(to: .now).clock)  \(index + 1) of \(commands.count): \(command)")
                do {
                    try await Self.workload(command).measure(report)
                } catch {
                    try Task.checkCancellation()
                    Report.say("FAILED: \(error)")
                    failed.append(command)
                }
            }
            return failed
        }
        Report.say("\(start.duration(to: .now).clock)  done\(failed.map { "; failed: \($0)" }.joined())")
        guard failed.isEmpty else { throw ExitCode.failure }
    }

    private static func workload(_ command: String) throws -> any Workload {
        let arguments = command.split(separator: " ").map(String.init)
        guard let workload = try HoldfastBench.parseAsRoot(arguments) as? any Workload else {
            throw BenchError(description: "\(command) is no workload")
        }
        return workload
    }
}

extension Duration {
    /// Minutes and seconds.
    fileprivate var clock: String { formatted(.time(pattern: .minuteSecond)) }
}
