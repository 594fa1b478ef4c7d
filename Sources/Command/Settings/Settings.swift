import ArgumentParser
import Configuration
import Foundation
import SystemPackage

/// The settings of one command: from its flags, else from the environment, else from a configuration file.
struct Settings {
    private let reader: ConfigReader

    /// - Parameters:
    ///   - flags: What was given on the command line, by key, such as `database.url`.
    ///   - file: A YAML file; `nil` takes the one that HOLDFAST_CONFIG names, if any.
    /// - Throws: `ValidationError` when the file cannot be read.
    init(flags: [String: String?], file: String?) async throws {
        let given = flags.compactMapValues { $0 }.map { key, text in
            (AbsoluteConfigKey(key.split(separator: ".").map(String.init)), ConfigValue(.string(text), isSecret: false))
        }
        var providers: [any ConfigProvider] = [
            InMemoryProvider(values: Dictionary(uniqueKeysWithValues: given)),
            EnvironmentVariablesProvider().prefixKeys(with: "holdfast"),
        ]
        if let path = file ?? ProcessInfo.processInfo.environment["HOLDFAST_CONFIG"] {
            do {
                providers.append(try await FileProvider<YAMLSnapshot>(filePath: FilePath(path)))
            } catch {
                throw ValidationError("The configuration file \(path) cannot be read: \(error)")
            }
        }
        reader = ConfigReader(providers: providers)
    }

    /// A text; `nil` when it is not set.
    func text(_ key: String, isSecret: Bool = false) -> String? {
        reader.string(forKey: ConfigKey(key), isSecret: isSecret)
    }

    /// A text that must be set.
    func requiredText(_ key: String, flag: String, isSecret: Bool = false) throws -> String {
        guard let text = text(key, isSecret: isSecret), !text.isEmpty else {
            let variable = "HOLDFAST_" + key.uppercased().replacing(".", with: "_")
            throw ValidationError("\(flag) is not set; give it, or set \(variable), or \(key) in a configuration file.")
        }
        return text
    }

    /// A whole number within bounds.
    func integer(_ key: String, flag: String, in range: ClosedRange<Int>, default standard: Int) throws -> Int {
        let value: Int?
        if let text = text(key) {
            value = Int(text)
        } else if let number = reader.int(forKey: ConfigKey(key)) {
            value = number
        } else {
            return standard
        }
        guard let value, range.contains(value) else {
            throw ValidationError("\(flag) must be a whole number from \(range.lowerBound) to \(range.upperBound).")
        }
        return value
    }

    /// - Throws: `ValidationError` when it is neither `true` nor `false`.
    func boolean(_ key: String, default standard: Bool) throws -> Bool {
        guard let text = text(key) else { return reader.bool(forKey: ConfigKey(key)) ?? standard }
        guard let value = Bool(text.lowercased()) else {
            throw ValidationError("\(key) must be true or false, and is \(text).")
        }
        return value
    }

    /// Texts separated by commas, or a list in a file.
    func list(_ key: String) -> [String]? {
        if let text = text(key) {
            return text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        }
        return reader.stringArray(forKey: ConfigKey(key))
    }
}
