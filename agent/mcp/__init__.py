"""Skills that are tools of MCP servers, by the official SDK: a configuration file in, skills out.

The SDK takes most of a second to import, so that is done in `connection.py`, when servers are started.
"""

from callboard.agent.mcp.config import McpConfig, ServerConfig, load_config
from callboard.agent.mcp.servers import McpServers

__all__ = ["McpConfig", "McpServers", "ServerConfig", "load_config"]
