import Foundation

/// The wall clock of one server, which a test can set: `CSteppedClock`, preloaded into it.
package final class SteppedClock: Sendable {
    /// For the server's start.
    package let environment: [String: String]
    private let descriptor: Int32

    /// Makes a clock that goes right.
    ///
    /// - Parameter path: A file of its own, in a folder that exists.
    /// - Throws: ``LocalStackError`` when the library is not where the build puts it, or the file cannot be written.
    package init(_ path: String) throws(LocalStackError) {
        let library = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "libSteppedClock.so").path
        guard FileManager.default.fileExists(atPath: library) else {
            throw LocalStackError(code: .programMissing, description: "\(library) is missing; run: swift build")
        }
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw LocalStackError(code: .badFolder, description: "cannot write \(path)") }
        environment = ["LD_PRELOAD": library, "STEPPED_CLOCK": path]
        set(ahead: .zero)
    }

    /// For a server that takes a launcher and no environment.
    package var launcher: [String] { ["/usr/bin/env"] + environment.map { "\($0)=\($1)" }.sorted() }

    deinit { close(descriptor) }

    /// Steps, to so far ahead of the true time.
    package func set(ahead offset: Duration) {
        var microseconds = Int64(offset / .microseconds(1))
        pwrite(descriptor, &microseconds, MemoryLayout<Int64>.size, 0)
    }
}
