import Foundation
import LocalStack
import TestSupport

/// Every value that was written on a node, in order, as the node itself tells it.
struct WriteMonitor: Sendable {
    private let process: LocalProcess
    private let path: String

    init(of node: RedisServer) throws {
        let folder = TestServers.makeFolder("monitor")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        path = "\(folder)/commands"
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let output = FileHandle(forWritingAtPath: path)
        else { throw Program.Failed(description: "cannot write \(path)") }
        process = try LocalProcess(
            URL(fileURLWithPath: "/usr/bin/redis-cli"),
            ["-p", "\(node.port)", "monitor"],
            output: output
        )
    }

    /// The values written under a key, once there are `count` of them.
    func values(of key: String, count: Int) async throws -> [String] {
        try await eventually("\(count) writes of \(key)") {
            let text = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
            // 1700000000.1 [0 lua] "mset" "key-1" "value" "holdfast:fence:key-1" "12"
            let values = text.split(separator: "\n").compactMap { line -> String? in
                let words = line.split(separator: "\"").filter { $0 != " " }
                guard words.count >= 4, words[1] == "mset", words[2] == key else { return nil }
                return String(words[3])
            }
            return values.count >= count ? values : nil
        }
    }

    func end() async { await process.end(with: SIGTERM) }
}
