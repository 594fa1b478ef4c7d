import Foundation

/// A server's log: one run's, so that what it says is about that run.
enum LogFile {
    static func truncated(_ path: String) throws -> FileHandle {
        guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path)
        else { throw LocalStackError(code: .badFolder, description: "cannot write \(path)") }
        return file
    }

    static func contents(_ path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Its last lines that are not empty, for an error message.
    static func end(of path: String, lines: Int = 3) -> String {
        contents(path).split(separator: "\n").suffix(lines).joined(separator: " | ")
    }
}
