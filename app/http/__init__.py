"""HTTP: request bodies, responses, streaming, problem documents, API keys and limits."""
