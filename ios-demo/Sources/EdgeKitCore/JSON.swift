import Foundation

/// A value to be written as JSON. Codable's own encoding leaves nil out; here it is null.
enum JSON: Encodable, Sendable {
    case string(String), number(Double), integer(Int), bool(Bool), null
    case array([JSON])
    case object([String: JSON])

    /// A number; null where there is none, or JSON has no word for it.
    static func number(_ value: Double?) -> JSON {
        guard let value, value.isFinite else { return .null }
        return .number(value)
    }

    static func string(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .string(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .bool(let value): try container.encode(value)
        case .null: try container.encodeNil()
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }

    /// The text; the same value gives the same text.
    func text(pretty: Bool = false) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = pretty ? [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted] : [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    init(stringLiteral value: String) { self = .string(value) }
    init(integerLiteral value: Int) { self = .integer(value) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// The version of the app; the SDK reads it from `selftest.json`.
public let appVersion = "0.1.0"

extension Outcome {
    /// The text of `selftest.json`.
    func json(device: Device) throws -> Data {
        try JSON.object([
            "version": 1,
            "app": .object(["name": "org.edgekit.demo", "version": .string(appVersion)]),
            "device": .object([
                "name": .string(device.name), "soc": .string(device.soc), "os": .string(device.os), "cpu": .string(device.cpu),
            ]),
            "model": manifest.map { .object(["name": .string($0.model.name), "weights_sha256": .string($0.model.weightsSHA256)]) } ?? .null,
            "target": .string(manifest?.target.name),
            "verdict": passed ? "passed" : "failed",
            "failure": .string(failure?.code.rawValue),
            "reason": .string(failure?.description),
            "artifacts": .array(artifacts.map(\.json)),
        ]).text(pretty: true)
    }
}

extension Tested {
    fileprivate var json: JSON {
        .object([
            "file": .string(artifact.file),
            "sha256": .string(artifact.sha256),
            "runtime": .string(runtime),
            "threads": threads.map(JSON.integer) ?? .null,
            "status": .string(status.rawValue),
            "reason": .string(reason),
            "failure": .string(failure?.code.rawValue),
            "load_ms": .number(latency?.load),
            "first_ms": .number(latency?.first),
            "median_ms": .number(latency?.percentile(0.5)),
            "p90_ms": .number(latency?.percentile(0.9)),
            "p95_ms": .number(latency?.percentile(0.95)),
            "p99_ms": .number(latency?.percentile(0.99)),
            "runs": .integer(latency?.sorted.count ?? 0),
            "legs": .array(legs.map(\.json)),
        ])
    }
}

extension Leg {
    fileprivate var json: JSON {
        .object([
            "leg": .string(leg.rawValue),
            "output": .string(output),
            "metrics": .object(Dictionary(uniqueKeysWithValues: metrics.named.map { name, value in
                (name, name == "non_finite" ? .integer(metrics.nonFinite) : .number(value))
            })),
            "worst_share_of_tolerance": .number(worstShare),
            "within_tolerance": .bool(isWithinTolerance),
            "limits": .array(limits.map { judged in
                .object([
                    "limit": .string(judged.limit), "metric": .string(judged.metric), "value": .number(judged.value),
                    "bound": .number(judged.bound), "result": .string(judged.result.rawValue),
                ])
            }),
        ])
    }
}
