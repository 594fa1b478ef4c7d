import Foundation
import SystemPackage

/// A file, or standard input, read piece by piece on a queue of its own: reading blocks.
final class InputFile: Sendable {
    private static let pieceBytes = 1 << 20

    private let descriptor: FileDescriptor
    private let queue = DispatchQueue(label: "input")
    /// In bytes; `nil` when that cannot be known.
    let size: Int?

    /// - Parameter path: `-` for standard input.
    /// - Throws: `Errno`.
    init(_ path: String) throws {
        descriptor = path == "-" ? .standardInput : try FileDescriptor.open(FilePath(path), .readOnly)
        var status = stat()
        // Opening it is no error, and reading it would name no file.
        if fstat(descriptor.rawValue, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { throw Errno.isDirectory }
        let isFile = fstat(descriptor.rawValue, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        size = isFile ? Int(status.st_size) : nil
    }

    deinit {
        // Nothing was written.
        if descriptor != .standardInput { try? descriptor.close() }
    }

    /// The next piece; empty at the end.
    ///
    /// - Throws: `Errno`.
    func next() async throws -> [UInt8] {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { [descriptor] in
                continuation.resume(
                    with: Result {
                        try [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { buffer, count in
                            count = try descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))
                        }
                    }
                )
            }
        }
    }
}
