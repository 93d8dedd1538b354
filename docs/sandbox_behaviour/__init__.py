"""The behaviour of the sandbox as data: rules with their sources, what it does not do, and what a run on AWS has shown; as pages."""
