import Foundation
import TestSupport

/// Packs bytes by the program that Debian has.
enum Gzip {
    static func pack(_ bytes: [UInt8]) throws -> [UInt8] {
        let folder = TestServers.makeFolder("gzip")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let path = "\(folder)/body"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let process = try Process.run(URL(fileURLWithPath: "/bin/gzip"), arguments: [path])
        process.waitUntilExit()
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path + ".gz")))
    }
}
