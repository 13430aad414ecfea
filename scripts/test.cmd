@echo Arkor Studio does not run on Windows itself, but it does in WSL, which uses an NVIDIA GPU too:
@echo run "wsl --install", open Ubuntu, and start ./scripts/%~n0 there.
@exit /b 2
