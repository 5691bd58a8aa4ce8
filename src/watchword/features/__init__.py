"""One folder a capability, none importing another: rules (pure), flow, routes, and later mail templates."""
