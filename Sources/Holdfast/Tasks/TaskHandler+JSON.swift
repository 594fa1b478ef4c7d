import Foundation

extension TaskHandler {
    /// Reads a job's value as JSON.
    ///
    /// - Parameter value: The job's value.
    /// - Returns: The payload.
    /// - Throws: `DecodingError`.
    public static func payload(of value: String) throws -> Payload {
        try JSONDecoder().decode(Payload.self, from: Data(value.utf8))
    }

    /// Runs one attempt of a job whose value has not been read.
    package func run(_ context: TaskContext) async throws {
        let payload: Payload
        do {
            payload = try Self.payload(of: context.job.value)
        } catch {
            throw TaskEnd.failed("the value is no payload of \(Self.kind): \(error)")
        }
        try await run(payload, context)
    }
}
