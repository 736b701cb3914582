"""The optional first job of a task, which works out the definition of the real work (domain.md 3.3). Knows no HTTP.

`job`: how it is made. `report`: what it says. `filling`: how that becomes the parameters. `advancing`: which of these is
due. What keeps track of it is `core.taskengine.preprocessing_marker`, which those know who make jobs of a task or take it up
again.
"""
