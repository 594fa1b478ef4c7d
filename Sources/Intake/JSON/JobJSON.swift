package import Holdfast

/// Jobs in JSON, as the API has them.
package enum JobJSON {
    /// What is wrong with a job's JSON.
    package struct Invalid: Error, CustomStringConvertible {
        package let description: String
    }

    /// A job as clients see it, on one line.
    package static func text(of job: Job) -> String { String(decoding: JobResponse.json(job), as: UTF8.self) }

    /// Reads a job as it is submitted in a batch.
    ///
    /// - Throws: ``Invalid``.
    package static func job(_ json: [UInt8]) throws(Invalid) -> NewJob {
        try reading { () throws in
            try NewJobReader.read(try JSONFields.parse(json), traceparent: nil, hasIdempotencyKey: true)
        }
    }

    /// Checks metadata: an object.
    ///
    /// - Throws: ``Invalid``.
    package static func metadata(_ text: String) throws(Invalid) -> String? {
        try reading { () throws in
            var fields = try JSONFields.parse(Array(#"{"metadata":\#(text)}"#.utf8))
            let metadata = try fields.takeMetadata()
            guard fields.left.isEmpty else { throw InvalidField("metadata", "must be a JSON object") }
            return metadata
        }
    }

    private static func reading<Value>(_ body: () throws -> Value) throws(Invalid) -> Value {
        do {
            return try body()
        } catch let invalid as InvalidSubmission {
            throw Invalid(description: invalid.description)
        } catch let invalid as InvalidField {
            throw Invalid(description: invalid.description)
        } catch let problem as Problem {
            throw Invalid(description: problem.details.detail)
        } catch {
            throw Invalid(description: "it is not a JSON object")
        }
    }
}
