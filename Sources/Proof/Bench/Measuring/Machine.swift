import Foundation
import LocalStack

/// What figures were measured on.
enum Machine {
    #if DEBUG
        static let isDebugBuild = true
    #else
        static let isDebugBuild = false
    #endif

    /// A line: processor, memory, servers and build.
    ///
    /// - Throws: When a server is not installed.
    static func description() async throws -> String {
        let memory = Double(ProcessInfo.processInfo.physicalMemory) / Double(1 << 30)
        let cores = ProcessInfo.processInfo.activeProcessorCount
        return [
            "\(cores) \(cores == 1 ? "core" : "cores")\(processor.map { " of \($0)" } ?? "")",
            "\(memory.short) GiB",
            try await version(of: .postgres, before: " (Debian"),
            try await version(of: .redisServer, before: " sha="),
            isDebugBuild ? "debug build" : "release build",
        ].joined(separator: ", ")
    }

    private static var processor: String? {
        let text = String(decoding: FileManager.default.contents(atPath: "/proc/cpuinfo") ?? Data(), as: UTF8.self)
        let name = text.split(separator: "\n").first { $0.hasPrefix("model name") }?.split(separator: ":").last
        return name?.trimmingCharacters(in: .whitespaces)
    }

    /// What a server calls itself, up to where it says more than that.
    private static func version(of program: ServerProgram, before end: String) async throws -> String {
        let line = try await LocalProcess.output(of: try program.locate(), ["--version"])
        return line.components(separatedBy: end)[0].replacing("postgres (PostgreSQL)", with: "PostgreSQL")
            .replacing("server v=", with: "").trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
