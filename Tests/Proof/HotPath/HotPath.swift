import Foundation
import Synchronization

/// Runs parts of a job's path, so that callgrind counts their instructions; see `Tests/Proof/CostTests`.
///
/// Each part is run for so many items, and then for twice as many: the difference is what items cost, and nothing else.
@main
enum HotPath {
    /// How many items a part is run with: first to have all that is made once made.
    static let counts = [5, 40, 80]

    static func main() throws {
        guard CommandLine.arguments.count == 2 else {
            FileHandle.standardError.write(Data("usage: HotPath DATABASE-URL\n".utf8))
            exit(64)
        }
        try runPureParts()
        // An asynchronous `main` ends its first thread, and callgrind with it.
        let result = Mutex<Result<Void, any Error>?>(nil)
        let isDone = DispatchSemaphore(value: 0)
        let url = CommandLine.arguments[1]
        Task { @concurrent in
            let outcome = await Result { try await StoreParts.run(on: url) }
            result.withLock { $0 = outcome }
            isDone.signal()
        }
        isDone.wait()
        try result.withLock { $0 }?.get()
    }

    /// Says that a part is over; what comes next is not its any more.
    static func ended(_ part: String, _ items: Int) {
        FileHandle.standardOutput.write(Data("\(part)\t\(items)\n".utf8))
        mark()
    }

    /// Says that what comes next is a part.
    static func began() { ended("-", 0) }
}

/// Where callgrind writes down what was counted since the last time: it knows this as `$s7HotPath4markyyF`.
@inline(never)
func mark() {}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
